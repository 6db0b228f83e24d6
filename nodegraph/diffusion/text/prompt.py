"""Prompt weights: ComfyUI's reading `(text:1.2)`, and A1111's, which adds `[text]` and `BREAK`.

Any text is a prompt: brackets that do not match are read as each program reads them, never refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from nodegraph.diffusion.values import PromptStyle

EMPHASIS = 1.1


@dataclass(frozen=True)
class Words:
    """Text of one weight."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True)
class EmbeddingName:
    """A learned embedding to be put in by name (textual inversion, Gal et al. 2022)."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Break:
    """The rest of the prompt starts a new chunk."""


Piece: TypeAlias = Words | EmbeddingName | Break


def parse_prompt(text: str, style: PromptStyle = "comfy") -> tuple[Piece, ...]:
    """Split a prompt into pieces of one weight each, and embeddings called by `embedding:name`."""
    pieces: list[Piece] = []
    for piece in parse_weights(text, style):
        pieces += [piece] if isinstance(piece, Break) else _split_embeddings(piece)
    return tuple(pieces)


def parse_weights(text: str, style: PromptStyle = "comfy") -> list[Words | Break]:
    """Split a prompt into texts of one weight each, brackets and backslashes taken away."""
    if style == "comfy":
        return list(_comfy_pieces(text))
    if style == "a1111":
        return _merge(_a1111_pieces(text))
    raise ValueError(f"prompt style {style!r}: expected 'comfy' or 'a1111'")


_EMBEDDING = re.compile(r"(?:\A|[ \n])embedding:")


def _split_embeddings(words: Words) -> Iterator[Words | EmbeddingName]:
    """Take `embedding:name` out of a text; a name ends at white space, and before commas at its end."""
    calls = list(_EMBEDDING.finditer(words.text))
    stops = [call.start() for call in calls] + [len(words.text)]
    if stops[0] > 0:
        yield Words(words.text[: stops[0]], words.weight)
    for call, stop in zip(calls, stops[1:], strict=True):
        called = words.text[call.end() : stop].split(maxsplit=1)
        name = called[0].rstrip(",") if called else ""
        if not name:
            yield Words(words.text[call.start() : stop], words.weight)
            continue
        yield EmbeddingName(name, words.weight)
        rest = " ".join([called[0][len(name) :], *called[1:]])
        if rest:
            yield Words(rest, words.weight)


def _scaled(weight: float, factor: float) -> float:
    # Only thousands of nested brackets come here: a weight stays a number.
    product = weight * factor
    return product if math.isfinite(product) else weight


_ESCAPABLE = re.compile(r"\\([()])")
_COMFY_BRACKET = re.compile(r"\\[()]|[()]")


@dataclass(frozen=True)
class _Span:
    """A part of the text between top-level brackets, or a bracketed one; `bracket` numbers the first within."""

    start: int
    stop: int
    bracket: int
    bracketed: bool = False


class _ComfyText:
    """A prompt and its brackets, each opening one with the closing one that brings the count back."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = [match for match in _COMFY_BRACKET.finditer(text) if len(match.group()) == 1]
        self.places = [match.start() for match in found]
        self.opening = [match.group() == "(" for match in found]
        self.partner: dict[int, int] = {}
        open_brackets: list[int] = []
        for number, opens in enumerate(self.opening):
            if opens:
                open_brackets.append(number)
            elif open_brackets:
                self.partner[open_brackets.pop()] = number
        self._closing_places = {place for place, opens in zip(self.places, self.opening, strict=True) if not opens}

    def spans(self, outer: _Span) -> Iterator[_Span]:
        """Yield the top-level parts of a span, in order.

        A closing bracket too many turns the next opening one of this level into text. An opening bracket never
        closed takes the rest of the span with it, as text, or bracketed where the rest ends in any closing bracket.
        """
        start, number, depth = outer.start, outer.bracket, 0
        while number < len(self.places) and self.places[number] < outer.stop:
            if depth < 0 or not self.opening[number]:
                depth += 1 if self.opening[number] else -1
                number += 1
                continue
            place, partner = self.places[number], self.partner.get(number)
            if place > start:
                yield _Span(start, place, number)
            if partner is None or self.places[partner] >= outer.stop:
                yield _Span(place, outer.stop, number, bracketed=outer.stop - 1 in self._closing_places)
                return
            start = self.places[partner] + 1
            yield _Span(place, start, number, bracketed=True)
            number = partner + 1
        if start < outer.stop:
            yield _Span(start, outer.stop, number)

    def inside(self, span: _Span, weight: float) -> tuple[_Span, float]:
        """Return what a bracketed span holds and its weight: the number after the last colon, or a little more."""
        start, stop = span.start + 1, span.stop - 1
        colon = self.text.rfind(":", start + 1, stop)
        number = _number(self.text[colon + 1 : stop]) if colon >= 0 else None
        if number is None:
            return _Span(start, stop, span.bracket + 1), _scaled(weight, EMPHASIS)
        return _Span(start, colon, span.bracket + 1), number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _comfy_pieces(text: str) -> Iterator[Words]:
    prompt = _ComfyText(text)
    open_spans = [(prompt.spans(_Span(0, len(text), 0)), 1.0)]  # a stack, as brackets may nest deeper than Python can
    while open_spans:
        spans, weight = open_spans[-1]
        span = next(spans, None)
        if span is None:
            open_spans.pop()
        elif span.bracketed:
            inner, inner_weight = prompt.inside(span, weight)
            open_spans.append((prompt.spans(inner), inner_weight))
        else:
            yield Words(_ESCAPABLE.sub(r"\1", text[span.start : span.stop]), weight)


_A1111_TOKEN = re.compile(
    r"""(?P<escaped>\\[()\[\]\\]) | (?P<open>[(\[]) | :\s*(?P<weight>[+-]?(?:\d{1,12}(?:\.\d*)?|\.\d+))\s*\)"""
    r""" | (?P<close>[)\]]) | [^\\()\[\]:]+ | [\\:]""",
    re.VERBOSE,
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


def _a1111_pieces(text: str) -> Iterator[Words | Break]:
    """Yield texts and breaks; round and square brackets are paired apart, so they may overlap."""
    tokens = list(_A1111_TOKEN.finditer(text))
    factors, closing = _a1111_brackets(tokens)
    weights = {"(": [1.0], "[": [1.0]}
    for number, token in enumerate(tokens):
        if number in factors:
            kind = weights[token.group()]
            kind.append(_scaled(kind[-1], factors[number]))
        elif number in closing:
            weights[closing[number]].pop()
        else:
            shown = token.group()[1:] if token["escaped"] else token.group()
            weight = _scaled(weights["("][-1], weights["["][-1])
            for place, part in enumerate(_BREAK.split(shown)):
                if place:
                    yield Break()
                yield Words(part, weight)


def _a1111_brackets(tokens: list[re.Match[str]]) -> tuple[dict[int, float], dict[int, str]]:
    """Return the factor of each opening bracket, and the kind that each closing one closes, by token number."""
    factors: dict[int, float] = {}
    closing: dict[int, str] = {}
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for number, token in enumerate(tokens):
        if token["open"]:
            opened[token["open"]].append(number)
            factors[number] = EMPHASIS if token["open"] == "(" else 1 / EMPHASIS
            continue
        kind = "[" if token["close"] == "]" else "("
        if (token["close"] or token["weight"]) and opened[kind]:
            opening = opened[kind].pop()
            closing[number] = kind
            if token["weight"]:
                factors[opening] = float(token["weight"])
    return factors, closing


def _merge(pieces: Iterator[Words | Break]) -> list[Words | Break]:
    """Join neighbours of equal weight: an escape or an empty bracket parts no word."""
    merged: list[Words | Break] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if isinstance(piece, Words) and isinstance(last, Words) and last.weight == piece.weight:
            merged[-1] = Words(last.text + piece.text, last.weight)
        elif not isinstance(piece, Words) or piece.text:
            merged.append(piece)
    return merged

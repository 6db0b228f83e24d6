"""Lay a prompt's tokens into chunks of the text encoder's length: start, 75 tokens, end; and count them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nodegraph.diffusion.text.prompt import Break, EmbeddingName, Piece, parse_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import PromptStyle

CLIP_LENGTH = 77
KEPT_WHOLE = 8
"""ComfyUI parts no piece of fewer tokens than this."""
COMMA_REACH = 20
"""A1111 ends a full chunk after a comma among so many last tokens."""


@dataclass(frozen=True)
class Slot:
    """A place in a chunk where the vector `index` of a learned embedding stands for a token."""

    position: int
    name: str
    index: int


@dataclass(frozen=True)
class Chunk:
    """One row for the text encoder: `tokens` with start, end and padding, and a weight for each.

    At `slots` vectors stand instead of the tokens.
    """

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class TokenCount:
    """How many of a prompt's `limit` tokens are used, and how many chunks that makes."""

    tokens: int
    chunks: int
    limit: int


@dataclass(frozen=True)
class TokenizedPrompt:
    """A prompt ready to encode: at least one chunk, `empty` as reference for weights, and what it takes."""

    chunks: tuple[Chunk, ...]
    empty: Chunk
    count: TokenCount
    missing_embeddings: tuple[str, ...] = ()
    """Names called by `embedding:name` that are unknown, and left out of the chunks."""

    @property
    def weighted(self) -> bool:
        """Tell whether any token has a weight other than 1."""
        return any(weight != 1.0 for chunk in self.chunks for weight in chunk.weights)


class _Token(NamedTuple):
    id: int
    weight: float
    vector: tuple[str, int] | None = None
    """A learned embedding, and which of its vectors it is."""


@dataclass(frozen=True)
class _Group:
    """The tokens of one piece of the prompt."""

    tokens: tuple[_Token, ...]

    @property
    def learned(self) -> bool:
        return bool(self.tokens) and self.tokens[0].vector is not None


_Row = list[_Token]
VectorCount = Callable[[str], int]
"""From the name of a learned embedding to the number of its vectors; 0: there is none of that name."""


def no_vectors(name: str) -> int:
    """Know no embedding."""
    return 0


def tokenize_prompt(
    text: str,
    tokenizer: Tokenizer,
    *,
    style: PromptStyle = "comfy",
    pad: int | None = None,
    length: int = CLIP_LENGTH,
    vectors: VectorCount = no_vectors,
) -> TokenizedPrompt:
    """Parse a prompt, tokenize its pieces and lay them into chunks of `length`.

    `pad` fills a chunk after its end token: CLIP-L pads with the end token (None), OpenCLIP with 0. `vectors` tells how
    many places a learned embedding takes.
    """
    if length < 3:
        raise ValueError(f"length={length}: a chunk has a start, an end and at least one token between")
    pieces = parse_prompt(text, style)
    groups = [_group(piece, tokenizer, vectors) for piece in pieces]
    named = [piece.name for piece in pieces if isinstance(piece, EmbeddingName)]
    room = length - 2
    if style == "comfy":
        rows = _pack_groups([group for group in groups if group is not None], room)
    else:
        rows = _pack_at_commas(groups, room, tokenizer.encode(","))
    pad = tokenizer.end if pad is None else pad
    return TokenizedPrompt(
        chunks=tuple(_close(row, tokenizer, pad, length) for row in rows),
        empty=_close([], tokenizer, pad, length),
        count=TokenCount(sum(map(len, rows)), len(rows), len(rows) * room),
        missing_embeddings=tuple(name for name in dict.fromkeys(named) if not vectors(name)),
    )


def count_tokens(text: str, tokenizer: Tokenizer | None = None, *, style: PromptStyle = "comfy") -> TokenCount:
    """Count a prompt's tokens as its encoding lays them, without start, end and padding.

    Without a `tokenizer` CLIP's is looked for; raise TokenizerNotFoundError where it is not on this machine.
    """
    return tokenize_prompt(text, tokenizer or clip_tokenizer(), style=style).count


def _group(piece: Piece, tokenizer: Tokenizer, vectors: VectorCount) -> _Group | None:
    """Return the tokens of a piece, None for a break."""
    if isinstance(piece, Break):
        return None
    if isinstance(piece, EmbeddingName):
        # The start token says nothing about where a text ends; the vector takes its place anyway.
        name, weight, count = piece.name, piece.weight, vectors(piece.name)
        return _Group(tuple(_Token(tokenizer.start, weight, (name, index)) for index in range(count)))
    return _Group(tuple(_Token(token, piece.weight) for token in tokenizer.encode(piece.text)))


def _pack_groups(groups: Sequence[_Group], room: int) -> list[_Row]:
    """Fill chunks in order; a short group that does not fit starts a new one, a long one is cut where a chunk ends."""
    rows: list[_Row] = [[]]
    for group in groups:
        rest = list(group.tokens)
        whole = len(rest) < min(KEPT_WHOLE, room + 1)
        while rest:
            free = room - len(rows[-1])
            if len(rest) > free:
                if not whole:
                    rows[-1] += rest[:free]
                    rest = rest[free:]
                rows.append([])
            else:
                rows[-1] += rest
                rest = []
    return rows


def _pack_at_commas(groups: Sequence[_Group | None], room: int, comma: list[int]) -> list[_Row]:
    """Fill chunks token by token; a full one gives what follows its last comma, if short, to the next. None: break."""
    rows: list[_Row] = [[]]
    after_comma = 0  # the place after the open row's last comma; 0: it has none
    for group in groups:
        if group is None:
            rows.append([])
            after_comma = 0
            continue
        if group.learned and room - len(rows[-1]) < len(group.tokens) <= room:
            rows.append([])  # A1111 parts no embedding that fits into a chunk
            after_comma = 0
        for token in group.tokens:
            is_comma = [token.id] == comma
            if len(rows[-1]) == room:
                tail = room - after_comma + 1
                keep = after_comma if after_comma and not is_comma and tail <= COMMA_REACH else room
                rows.append(rows[-1][keep:])
                del rows[-2][keep:]
                after_comma = 0
            rows[-1].append(token)
            if is_comma:
                after_comma = len(rows[-1])
    return rows if rows[-1] or len(rows) == 1 else rows[:-1]


def _close(row: _Row, tokenizer: Tokenizer, pad: int, length: int) -> Chunk:
    filling = length - 2 - len(row)
    tokens = (tokenizer.start, *(token.id for token in row), tokenizer.end, *(pad,) * filling)
    weights = (1.0, *(token.weight for token in row), *(1.0,) * (filling + 1))
    slots = tuple(Slot(place, *token.vector) for place, token in enumerate(row, start=1) if token.vector is not None)
    return Chunk(tokens, weights, slots)

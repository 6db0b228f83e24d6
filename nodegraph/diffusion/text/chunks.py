"""Lay a prompt's tokens into chunks of the text encoder's length: start, 75 tokens, end; and count them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodegraph.diffusion.text.prompt import Break, EmbeddingName, parse_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import PromptStyle

CLIP_LENGTH = 77
KEPT_WHOLE = 8
"""ComfyUI parts no piece of fewer tokens than this."""
COMMA_REACH = 20
"""A1111 ends a full chunk after a comma among so many last tokens."""


@dataclass(frozen=True)
class Chunk:
    """One row for the text encoder: `tokens` with start, end and padding, and a weight for each."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]


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


@dataclass(frozen=True)
class _Group:
    """The tokens of one piece of the prompt."""

    tokens: tuple[int, ...]
    weight: float


_Row = list[tuple[int, float]]


def tokenize_prompt(
    text: str,
    tokenizer: Tokenizer,
    *,
    style: PromptStyle = "comfy",
    pad: int | None = None,
    length: int = CLIP_LENGTH,
) -> TokenizedPrompt:
    """Parse a prompt, tokenize its pieces and lay them into chunks of `length`.

    `pad` fills a chunk after its end token: CLIP-L pads with the end token (None), OpenCLIP with 0.
    """
    if length < 3:
        raise ValueError(f"length={length}: a chunk has a start, an end and at least one token between")
    pieces = parse_prompt(text, style)
    groups = [
        None if isinstance(piece, Break) else _Group(tuple(tokenizer.encode(piece.text)), piece.weight)
        for piece in pieces
        if not isinstance(piece, EmbeddingName)
    ]
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
        missing_embeddings=tuple(dict.fromkeys(piece.name for piece in pieces if isinstance(piece, EmbeddingName))),
    )


def count_tokens(text: str, tokenizer: Tokenizer | None = None, *, style: PromptStyle = "comfy") -> TokenCount:
    """Count a prompt's tokens as its encoding lays them, without start, end and padding.

    Without a `tokenizer` CLIP's is looked for; raise TokenizerNotFoundError where it is not on this machine.
    """
    return tokenize_prompt(text, tokenizer or clip_tokenizer(), style=style).count


def _pack_groups(groups: Sequence[_Group], room: int) -> list[_Row]:
    """Fill chunks in order; a short group that does not fit starts a new one, a long one is cut where a chunk ends."""
    rows: list[_Row] = [[]]
    for group in groups:
        rest = [(token, group.weight) for token in group.tokens]
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
        for token in group.tokens:
            is_comma = [token] == comma
            if len(rows[-1]) == room:
                tail = room - after_comma + 1
                keep = after_comma if after_comma and not is_comma and tail <= COMMA_REACH else room
                rows.append(rows[-1][keep:])
                del rows[-2][keep:]
                after_comma = 0
            rows[-1].append((token, group.weight))
            if is_comma:
                after_comma = len(rows[-1])
    return rows if rows[-1] or len(rows) == 1 else rows[:-1]


def _close(row: _Row, tokenizer: Tokenizer, pad: int, length: int) -> Chunk:
    filling = length - 2 - len(row)
    tokens = (tokenizer.start, *(token for token, _ in row), tokenizer.end, *(pad,) * filling)
    weights = (1.0, *(weight for _, weight in row), *(1.0,) * (filling + 1))
    return Chunk(tokens, weights)

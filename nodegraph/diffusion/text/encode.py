"""Encode a prompt for conditioning: chunks and the empty prompt in one batch, then clip skip, then weights."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.embeddings import Embedding
from nodegraph.diffusion.interruption import bringing, interruptible
from nodegraph.diffusion.models.clip import ClipText, ClipTextOutput
from nodegraph.diffusion.text.chunks import Chunk, tokenize_prompt
from nodegraph.diffusion.text.prompt import EmbeddingName, parse_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Conditioning, ConditioningEntry, PromptStyle, TextEncoder

logger = logging.getLogger(__name__)

BATCH = 32
"""Chunks that are encoded at once, all layers held: about 100 MB for Stable Diffusion's text encoder."""


Vectors = Mapping[str, Tensor]
"""The vectors (n, D) of the learned embeddings that a prompt calls, by name."""


@dataclass(frozen=True)
class _Read:
    """What one text encoder makes of a prompt, all float32 on the CPU."""

    chunks: Tensor
    """The layer asked for, weighted: (chunks, T, D)."""
    empty: Tensor
    """Nothing, or the empty prompt: (0 or 1, T, D)."""
    pooled: Tensor
    """(1, P)."""


def encode_prompt(
    clip: Clip,
    text: str,
    *,
    style: PromptStyle | None = None,
    pad: int | None = None,
    embeddings: Mapping[str, Embedding] | None = None,
    check: Callable[[], object] = lambda: None,
    warn: Callable[[str], object] = logger.warning,
) -> Conditioning:
    """Encode a prompt as one entry: `embedding` (1, 77 x chunks, D), `pooled` (1, P) of the first chunk, not weighted.

    Of several text encoders the outputs stand side by side: D and P are sums of theirs. `style` overrides the clip's
    own reading of weights, `pad` the token that fills chunks; `embeddings` are the words that can be called by
    `embedding:name`; `check` is called again and again, and what it raises stops the encoding. Both tensors are float32
    on the CPU. Unknown embeddings, and those for text encoders of another width, are left out, of which `warn` hears.
    Raise ValueError where the tokenizer's ids do not fit the text encoder, WeightsError where an embedding's file
    cannot be read.
    """
    style = style or clip.prompt_style
    known: Mapping[str, Embedding] = ChainMap(embeddings or {}, clip.words)  # type: ignore[arg-type]  # only read
    names = [piece.name for piece in parse_prompt(text, style) if isinstance(piece, EmbeddingName)]
    fill, once = bool(names and clip.beside), _once(warn)
    reads = []
    for encoder in clip.encoders:
        with encoder.network.lend(bringing(check)) as network, interruptible(network, check):
            vectors = _called(names, known, network.config.width, once)
            reads.append(_read(encoder, network, text, style, pad, clip.stop_layer, vectors, fill=fill))
    pooled = [read.pooled for read, encoder in zip(reads, clip.encoders, strict=True) if encoder.pools]
    tokens = _side_by_side(reads).flatten(0, 1).unsqueeze(0)
    return Conditioning((ConditioningEntry(tokens, torch.cat(pooled, -1) if pooled else None),))


def select_layer(network: ClipText, output: ClipTextOutput, stop_layer: int, *, normed: bool = True) -> Tensor:
    """Return the output (B, T, D) of the layer `stop_layer`: -1 the last, -2 the one before (clip skip 2).

    It is normed, unless `normed` is false. As in ComfyUI, a layer the network does not have means the last one, normed.
    """
    if stop_layer > -1:
        raise ValueError(f"stop_layer={stop_layer}: expected -1 (the last layer) or below")
    layers = len(output.hidden) - 1  # hidden[0] are the embeddings
    if -stop_layer > layers or (normed and stop_layer == -1):
        return output.last
    hidden = output.hidden[stop_layer]
    return network.normalize(hidden) if normed else hidden


def _read(
    encoder: TextEncoder,
    network: ClipText,
    text: str,
    style: PromptStyle,
    pad: int | None,
    stop_layer: int,
    vectors: Vectors,
    *,
    fill: bool,
) -> _Read:
    """Read a prompt with one text encoder; the empty prompt too where weights or `fill` ask for it."""
    prompt = tokenize_prompt(
        text,
        _checked(encoder.tokenizer, network),
        style=style,
        pad=encoder.pad if pad is None else pad,
        length=network.config.length,
        vectors=lambda name: len(vectors.get(name, ())),
    )
    rows = [*prompt.chunks, *([prompt.empty] if prompt.weighted or fill else [])]
    hidden, pooled = _encode_rows(encoder, network, rows, stop_layer, vectors)
    chunks, empty = hidden[: len(prompt.chunks)], hidden[len(prompt.chunks) :]
    if prompt.weighted:
        weights = torch.tensor([chunk.weights for chunk in prompt.chunks]).unsqueeze(-1)  # (chunks, T, 1)
        chunks = _weigh_by_mean(chunks, weights) if style == "a1111" else _weigh(chunks, weights, empty[0])
    return _Read(chunks, empty, pooled)


def _side_by_side(reads: Sequence[_Read]) -> Tensor:
    """Join what text encoders read (chunks, T, D) on the last axis; one that read fewer chunks is filled up.

    That comes about where an embedding has vectors for one of them alone.
    """
    most = max(len(read.chunks) for read in reads)
    filled = [
        torch.cat([read.chunks, read.empty[:1].expand(most - len(read.chunks), -1, -1)])
        if len(read.chunks) < most
        else read.chunks
        for read in reads
    ]
    return torch.cat(filled, -1)


def _once(warn: Callable[[str], object]) -> Callable[[str], object]:
    """Return what tells `warn` each message but once, as several text encoders read one prompt."""
    told: set[str] = set()

    def tell(message: str) -> None:
        if message not in told:
            told.add(message)
            warn(message)

    return tell


def _called(
    names: Sequence[str], embeddings: Mapping[str, Embedding], width: int, warn: Callable[[str], object]
) -> Vectors:
    """Return the vectors of the embeddings of these names, of those that are known and `width` wide."""
    vectors: dict[str, Tensor] = {}
    for name in dict.fromkeys(names):
        if name not in embeddings:
            near = get_close_matches(name, list(embeddings), n=3)
            hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
            warn(f"prompt: no embedding is named {name!r}; it is left out{hint}")
        elif width not in (embedding := embeddings[name]):
            widths = " and ".join(map(str, sorted(embedding)))
            told = f"is for text encoders of width {widths}, this one's is {width}; it is left out"
            warn(f"prompt: the embedding {name!r} {told}")
        else:
            vectors[name] = embedding[width]
    return vectors


@torch.no_grad()
def _encode_rows(
    encoder: TextEncoder, network: ClipText, rows: Sequence[Chunk], stop_layer: int, vectors: Vectors
) -> tuple[Tensor, Tensor]:
    """Return the layer asked for (rows, T, D) and `pooled` (1, P) of the first row, float32 on the CPU."""
    highest, vocabulary = max(max(row.tokens) for row in rows), network.config.vocabulary
    if highest >= vocabulary:
        raise ValueError(f"the tokenizer gave the id {highest}, the text encoder has {vocabulary} tokens")
    hidden, pooled, device = [], [], encoder.network.device
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        tokens = torch.tensor([row.tokens for row in batch], device=device)  # (BATCH or fewer, T)
        output = network(tokens, *_learned(batch, vectors, network.config.width, device))
        hidden.append(select_layer(network, output, stop_layer, normed=encoder.normed).to("cpu", torch.float32))
        pooled.append(output.pooled[:1].to("cpu", torch.float32))
    return torch.cat(hidden), pooled[0]


def _learned(
    rows: Sequence[Chunk], vectors: Vectors, width: int, device: torch.device
) -> tuple[Tensor, Tensor] | tuple[()]:
    """Return learned vectors (B, T, D) and where in the rows they stand (B, T); nothing where none do."""
    if not any(row.slots for row in rows):
        return ()
    places = torch.zeros(len(rows), len(rows[0].tokens), dtype=torch.bool)
    learned = torch.zeros(*places.shape, width)
    for number, row in enumerate(rows):
        for slot in row.slots:
            places[number, slot.position] = True
            learned[number, slot.position] = vectors[slot.name][slot.index]
    return learned.to(device), places.to(device)


def _weigh(chunks: Tensor, weights: Tensor, empty: Tensor) -> Tensor:
    """Scale what sets each token off from the empty prompt `empty` (T, D), as ComfyUI does."""
    return torch.where(weights == 1.0, chunks, (chunks - empty) * weights + empty)


def _weigh_by_mean(chunks: Tensor, weights: Tensor) -> Tensor:
    """Scale each token and restore the mean of its chunk, as A1111 does."""
    weighted = chunks * weights
    ratio = chunks.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True)  # (chunks, 1, 1)
    return weighted * torch.where(ratio.isfinite(), ratio, 1.0)


def _checked(tokenizer: object, network: ClipText) -> Tokenizer:
    if not isinstance(tokenizer, Tokenizer):
        raise TypeError(f"Clip.tokenizer: got {type(tokenizer).__name__}, expected encode, decode, start and end")
    if tokenizer.end != network.config.end_token:
        raise ValueError(
            f"the tokenizer's end token is {tokenizer.end}, the text encoder's {network.config.end_token}: "
            "they are not of one model"
        )
    return tokenizer

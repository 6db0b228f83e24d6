"""Encode a prompt for conditioning: chunks and the empty prompt in one batch, then clip skip, then weights."""

from __future__ import annotations

import logging
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.embeddings import Embedding
from nodegraph.diffusion.interruption import bringing, interruptible
from nodegraph.diffusion.models.clip import ClipText, ClipTextOutput
from nodegraph.diffusion.text.chunks import Chunk, TokenizedPrompt, tokenize_prompt
from nodegraph.diffusion.text.prompt import EmbeddingName, parse_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Conditioning, ConditioningEntry, PromptStyle

logger = logging.getLogger(__name__)

BATCH = 32
"""Chunks that are encoded at once, all layers held: about 100 MB for Stable Diffusion's text encoder."""


Vectors = Mapping[str, Tensor]
"""The vectors (n, D) of the learned embeddings that a prompt calls, by name."""


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
    """Encode a prompt as one entry: `embedding` (1, 77 x chunks, D), `pooled` (1, D) of the first chunk, not weighted.

    `style` overrides the clip's own reading of weights; `pad` is the token that fills chunks, by default the end
    token; `embeddings` are the words that can be called by `embedding:name`; `check` is called again and again, and
    what it raises stops the encoding. Both tensors are float32 on the CPU. Unknown embeddings, and those for text
    encoders of another width, are left out, of which `warn` hears. Raise ValueError where the tokenizer's ids do
    not fit the text encoder, WeightsError where an embedding's file cannot be read.
    """
    style = style or clip.prompt_style
    known: Mapping[str, Embedding] = ChainMap(embeddings or {}, clip.words)  # type: ignore[arg-type]  # only read
    with clip.network.lend(bringing(check)) as network, interruptible(network, check):
        tokenizer, config = _checked(clip.tokenizer, network), network.config
        vectors = _called(text, style, known, config.width, warn)
        prompt = tokenize_prompt(
            text, tokenizer, style=style, pad=pad, length=config.length, vectors=lambda name: len(vectors.get(name, ()))
        )
        hidden, pooled = _encode_chunks(clip, network, prompt, vectors)
    chunks = hidden[: len(prompt.chunks)]  # (chunks, T, D)
    weights = torch.tensor([chunk.weights for chunk in prompt.chunks]).unsqueeze(-1)  # (chunks, T, 1)
    if prompt.weighted:
        chunks = _weigh_by_mean(chunks, weights) if style == "a1111" else _weigh(chunks, weights, hidden[-1])
    return Conditioning((ConditioningEntry(chunks.flatten(0, 1).unsqueeze(0), pooled),))


def select_layer(network: ClipText, output: ClipTextOutput, stop_layer: int) -> Tensor:
    """Return the normed output (B, T, D) of the layer `stop_layer`: -1 the last, -2 the one before (clip skip 2).

    As in ComfyUI, a layer the network does not have means the last one.
    """
    if stop_layer > -1:
        raise ValueError(f"stop_layer={stop_layer}: expected -1 (the last layer) or below")
    layers = len(output.hidden) - 1  # hidden[0] are the embeddings
    return output.last if stop_layer == -1 or -stop_layer > layers else network.normalize(output.hidden[stop_layer])


def _called(
    text: str, style: PromptStyle, embeddings: Mapping[str, Embedding], width: int, warn: Callable[[str], object]
) -> Vectors:
    """Return the vectors of the embeddings that a prompt calls, of those that are known and `width` wide."""
    names = [piece.name for piece in parse_prompt(text, style) if isinstance(piece, EmbeddingName)]
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
def _encode_chunks(clip: Clip, network: ClipText, prompt: TokenizedPrompt, vectors: Vectors) -> tuple[Tensor, Tensor]:
    """Return the layer asked for (chunks or chunks + 1, T, D) and `pooled` (1, D), float32 on the CPU."""
    rows = [*prompt.chunks, *([prompt.empty] if prompt.weighted else [])]
    highest, vocabulary = max(max(row.tokens) for row in rows), network.config.vocabulary
    if highest >= vocabulary:
        raise ValueError(f"the tokenizer gave the id {highest}, the text encoder has {vocabulary} tokens")
    hidden, pooled = [], []
    for first in range(0, len(rows), BATCH):
        batch = rows[first : first + BATCH]
        tokens = torch.tensor([row.tokens for row in batch], device=clip.network.device)  # (BATCH or fewer, T)
        output = network(tokens, *_learned(batch, vectors, network.config.width, clip.network.device))
        hidden.append(select_layer(network, output, clip.stop_layer).to("cpu", torch.float32))
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

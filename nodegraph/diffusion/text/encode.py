"""Encode a prompt for conditioning: chunks and the empty prompt in one batch, then clip skip, then weights."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from nodegraph.diffusion.models.clip import ClipText, ClipTextOutput
from nodegraph.diffusion.text.chunks import TokenizedPrompt, tokenize_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Conditioning, ConditioningEntry, PromptStyle

logger = logging.getLogger(__name__)

BATCH = 32
"""Chunks that are encoded at once, all layers held: about 100 MB for Stable Diffusion's text encoder."""


def encode_prompt(clip: Clip, text: str, *, style: PromptStyle | None = None, pad: int | None = None) -> Conditioning:
    """Encode a prompt as one entry: `embedding` (1, 77 x chunks, D), `pooled` (1, D) of the first chunk, not weighted.

    `style` overrides the clip's own reading of weights; `pad` is the token that fills chunks, by default the end
    token. Both tensors are float32 on the CPU. Unknown embeddings are left out, with a warning. Raise ValueError
    where the tokenizer's ids do not fit the text encoder.
    """
    style = style or clip.prompt_style
    network = clip.network.module
    tokenizer = _checked(clip.tokenizer, network)
    prompt = tokenize_prompt(text, tokenizer, style=style, pad=pad, length=network.config.length)
    for name in prompt.missing_embeddings:
        logger.warning("prompt: no embedding is named %r; it is left out", name)
    hidden, pooled = _encode_chunks(clip, prompt)
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


@torch.no_grad()
def _encode_chunks(clip: Clip, prompt: TokenizedPrompt) -> tuple[Tensor, Tensor]:
    """Return the layer asked for (chunks or chunks + 1, T, D) and `pooled` (1, D), float32 on the CPU."""
    network = clip.network.module
    rows = [*prompt.chunks, *([prompt.empty] if prompt.weighted else [])]
    highest, vocabulary = max(max(row.tokens) for row in rows), network.config.vocabulary
    if highest >= vocabulary:
        raise ValueError(f"the tokenizer gave the id {highest}, the text encoder has {vocabulary} tokens")
    tokens = torch.tensor([row.tokens for row in rows], device=clip.network.device)  # (chunks or chunks + 1, T)
    hidden, pooled = [], []
    for batch in tokens.split(BATCH):
        output = network(batch)
        hidden.append(select_layer(network, output, clip.stop_layer).to("cpu", torch.float32))
        pooled.append(output.pooled[:1].to("cpu", torch.float32))
    return torch.cat(hidden), pooled[0]


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

"""Prompts: read by the text encoder, and combined."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nodegraph import Context, Mentions, Multiline, Step, Widget, node
from nodegraph.diffusion.text.learned_words import SIGN, mentioned
from nodegraph.diffusion.values import Clip, Conditioning, ConditioningEntry, PromptStyle

if TYPE_CHECKING:
    from nodegraph.diffusion.adapters.embeddings import Embedding

Prompt = Annotated[str, Multiline(), Mentions("embeddings", mentioned, SIGN)]
Share = Annotated[float, Field(ge=0, le=1), Step(0.001), Widget("slider")]


@node("CLIPTextEncode", title="CLIP Text Encode (Prompt)", category="conditioning")
def clip_text_encode(context: Context, text: Prompt, clip: Clip) -> Conditioning:
    """Read a prompt: what the picture shall show, or, wired to `negative`, what it shall not.

    `(word)` and `(word:1.3)` give words more weight, `\\(` and `\\)` are plain parentheses. A prompt of more than 75
    tokens is read in chunks of 75. `embedding:name` puts a learned word of the folder `embeddings` in.
    """
    from nodegraph.diffusion.interruption import Watch
    from nodegraph.diffusion.text.encode import encode_prompt

    return encode_prompt(clip, text, embeddings=_embeddings(context, text), check=Watch(context), warn=context.warn)


def _embeddings(context: Context, text: str) -> "Mapping[str, Embedding]":
    from nodegraph.diffusion.adapters.embeddings import EmbeddingFiles

    if SIGN not in text:
        return {}
    names = context.folders.names("embeddings")
    return EmbeddingFiles({name: context.folders.path("embeddings", name) for name in names})


@node("CLIPSetLastLayer", title="CLIP Set Last Layer", category="conditioning")
def clip_set_last_layer(clip: Clip, stop_at_clip_layer: Annotated[int, Field(ge=-24, le=-1)] = -1) -> Clip:
    """Stop the text encoder early: -1 is its last layer, -2 the one before ("clip skip 2")."""
    return replace(clip, stop_layer=stop_at_clip_layer)


@node("CLIPPromptStyle", title="CLIP Prompt Style", category="conditioning")
def clip_prompt_style(clip: Clip, style: PromptStyle = "a1111") -> Clip:
    """Choose how prompt weights are read: as ComfyUI does, or as A1111: `[word]` for less, means restored, BREAK."""
    return replace(clip, prompt_style=style)


@node("ConditioningCombine", title="Conditioning (Combine)", category="conditioning")
def conditioning_combine(conditioning_1: Conditioning, conditioning_2: Conditioning) -> Conditioning:
    """Let both prompts hold at once, each by its strength: their predictions are averaged."""
    return Conditioning(conditioning_1.entries + conditioning_2.entries)


@node("ConditioningConcat", title="Conditioning (Concat)", category="conditioning")
def conditioning_concat(conditioning_to: Conditioning, conditioning_from: Conditioning) -> Conditioning:
    """Append one prompt's tokens to another's, so that the network reads them as one long prompt."""
    import torch

    tail = _only(conditioning_from, "conditioning_from").embedding
    return Conditioning(
        tuple(replace(entry, embedding=torch.cat([entry.embedding, tail], 1)) for entry in conditioning_to.entries)
    )


@node("ConditioningAverage", category="conditioning")
def conditioning_average(
    conditioning_to: Conditioning,
    conditioning_from: Conditioning,
    conditioning_to_strength: Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")] = 1.0,
) -> Conditioning:
    """Mix two prompts' embeddings: a strength of 1 is `conditioning_to` alone, 0 is `conditioning_from` alone."""
    other, share = _only(conditioning_from, "conditioning_from"), conditioning_to_strength
    return Conditioning(tuple(_averaged(entry, other, share) for entry in conditioning_to.entries))


@node("ConditioningZeroOut", category="advanced/conditioning")
def conditioning_zero_out(conditioning: Conditioning) -> Conditioning:
    """Make an unconditional prompt: every embedding becomes zero."""
    import torch

    def zero(entry: ConditioningEntry) -> ConditioningEntry:
        pooled = None if entry.pooled is None else torch.zeros_like(entry.pooled)
        return replace(entry, embedding=torch.zeros_like(entry.embedding), pooled=pooled)

    return Conditioning(tuple(zero(entry) for entry in conditioning.entries))


@node("ConditioningSetTimestepRange", category="advanced/conditioning")
def conditioning_set_timestep_range(conditioning: Conditioning, start: Share = 0.0, end: Share = 1.0) -> Conditioning:
    """Let a prompt hold only from one share of the sampling to another: 0 is the start, 1 the end."""
    return conditioning.changed(start=start, end=end)


def _only(conditioning: Conditioning, name: str) -> ConditioningEntry:
    if not conditioning.entries:
        raise ValueError(f"{name}: got no prompt at all, expected one")
    return conditioning.entries[0]


def _averaged(entry: ConditioningEntry, other: ConditioningEntry, share: float) -> ConditioningEntry:
    import torch
    from torch.nn.functional import pad

    tokens = entry.embedding.shape[1]
    shorter = other.embedding[:, :tokens]
    shorter = pad(shorter, (0, 0, 0, tokens - shorter.shape[1]))
    pooled = other.pooled if entry.pooled is None else entry.pooled
    if entry.pooled is not None and other.pooled is not None:
        pooled = torch.lerp(other.pooled, entry.pooled, share)
    return replace(entry, embedding=torch.lerp(shorter, entry.embedding, share), pooled=pooled)

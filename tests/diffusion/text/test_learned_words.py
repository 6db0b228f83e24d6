"""Learned embeddings in prompts: places, weights, chunks, and what is left out."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.text.chunks import Slot, tokenize_prompt
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Placed, PromptStyle

CONFIG = ClipTextConfig(vocabulary=128, width=16, layers=2, heads=2, mlp_width=32, end_token=2)


@pytest.fixture
def clip(letters: Tokenizer) -> Clip:
    torch.manual_seed(0)
    return Clip(Placed(ClipText(CONFIG)), letters)


def word(clip: Clip, text: str) -> Tensor:
    """Return the network's own vectors of some letters: called by name, they are the same as the letters."""
    with clip.network.lend() as network:
        return network.text_model.embeddings.token_embedding.weight[list(map(ord, text))].detach()


def test_vectors_take_places_and_weights(letters: Tokenizer) -> None:
    prompt = tokenize_prompt("a (embedding:cat b:1.5)", letters, vectors=lambda name: 3)
    (chunk,) = prompt.chunks
    assert chunk.tokens[:7] == (1, ord("a"), 1, 1, 1, ord("b"), 2)
    assert chunk.weights[:7] == (1, 1, 1.5, 1.5, 1.5, 1.5, 1)
    assert chunk.slots == (Slot(2, "cat", 0), Slot(3, "cat", 1), Slot(4, "cat", 2))
    assert prompt.count.tokens == 5
    assert prompt.missing_embeddings == ()


@pytest.mark.parametrize("style", ["comfy", "a1111"])
def test_a_short_embedding_is_not_parted(letters: Tokenizer, style: PromptStyle) -> None:
    named = tokenize_prompt("x" * 72 + " embedding:cat y", letters, style=style, vectors=lambda name: 5)
    first, second = named.chunks
    assert (first.slots, first.tokens[73]) == ((), 2)
    assert [slot.position for slot in second.slots] == [1, 2, 3, 4, 5]


def test_an_embedding_longer_than_a_chunk_goes_on_in_the_next(letters: Tokenizer) -> None:
    styles: tuple[PromptStyle, ...] = ("comfy", "a1111")
    for style in styles:
        prompt = tokenize_prompt("embedding:cat", letters, style=style, vectors=lambda name: 80)
        assert [len(chunk.slots) for chunk in prompt.chunks] == [75, 5]


@pytest.mark.parametrize("text", ["x {} y", "(x {}:1.3) y", "x" * 74 + " {}", "{}", "{}, {} z"])
def test_a_word_made_of_letters_is_those_letters(clip: Clip, text: str) -> None:
    embeddings = {"cat": {16: word(clip, "cat"), 24: torch.zeros(1, 24)}}
    (named,) = encode_prompt(clip, text.format("embedding:cat", "embedding:cat"), embeddings=embeddings).entries
    (spelled,) = encode_prompt(clip, text.format("cat", "cat")).entries
    if "x" * 74 not in text:  # there the word stays whole and the letters are parted
        torch.testing.assert_close(named.embedding, spelled.embedding)
        torch.testing.assert_close(named.pooled, spelled.pooled)
    else:
        (parted,) = encode_prompt(clip, "x" * 74 + "(cat:1)").entries
        torch.testing.assert_close(named.embedding, parted.embedding)


def test_learned_words_of_a_half_precision_network(clip: Clip) -> None:
    with clip.network.lend() as network:
        half = Clip(Placed(network.bfloat16()), clip.tokenizer)
    (named,) = encode_prompt(half, "x embedding:cat", embeddings={"cat": {16: word(half, "cat").float()}}).entries
    (spelled,) = encode_prompt(half, "x cat").entries
    assert torch.equal(named.embedding, spelled.embedding)


def test_unknown_words_and_other_widths_are_left_out_and_told(clip: Clip, caplog: pytest.LogCaptureFixture) -> None:
    embeddings = {"easynegative": {24: torch.zeros(1, 24)}}
    with caplog.at_level(logging.WARNING):
        (entry,) = encode_prompt(clip, "a embedding:easynegativ", embeddings=embeddings).entries
        encode_prompt(clip, "a embedding:easynegative", embeddings=embeddings)
    assert "no embedding is named 'easynegativ'; it is left out; did you mean 'easynegative'?" in caplog.text
    assert "'easynegative' is for text encoders of width 24, this one's is 16" in caplog.text
    (plain,) = encode_prompt(clip, "a").entries
    assert torch.equal(entry.embedding, plain.embedding)

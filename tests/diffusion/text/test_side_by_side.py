"""Several text encoders read one prompt: their outputs side by side, each with what is its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Placed, PromptStyle, TextEncoder

CONFIG = ClipTextConfig(vocabulary=128, width=16, layers=2, heads=2, mlp_width=32, end_token=2)
WIDE = replace(CONFIG, width=24, layers=3, projection=5)


@pytest.fixture
def small(letters: Tokenizer) -> Clip:
    torch.manual_seed(0)
    return Clip(Placed(ClipText(CONFIG).eval()), letters, "clip_l", normed=False, stop_layer=-2)


@pytest.fixture
def large(letters: Tokenizer) -> Clip:
    torch.manual_seed(1)
    return Clip(Placed(ClipText(WIDE).eval()), letters, "clip_g", pad=0, normed=False, stop_layer=-2)


def beside(small: Clip, large: Clip, *, pools: bool = False) -> Clip:
    second = TextEncoder(large.network, large.tokenizer, large.part, large.pad, large.normed)
    return replace(small, pools=pools, beside=(second,))


def read(clip: Clip, text: str, words: Mapping[str, Mapping[int, Tensor]] | None = None) -> tuple[Tensor, Tensor]:
    (entry,) = encode_prompt(clip, text, embeddings=words).entries
    assert entry.pooled is not None
    return entry.embedding, entry.pooled


@pytest.mark.parametrize("style", ["comfy", "a1111"])
@pytest.mark.parametrize("text", ["", "abc", "a (b:1.5) c", "x" * 80 + "(y:0.5)"])
def test_each_reads_as_it_does_alone(small: Clip, large: Clip, text: str, style: PromptStyle) -> None:
    one, other, both = (replace(clip, prompt_style=style) for clip in (small, large, beside(small, large)))
    (left, _), (right, vector) = read(one, text), read(other, text)
    embedding, pooled = read(both, text)
    torch.testing.assert_close(embedding, torch.cat([left, right], -1))
    torch.testing.assert_close(pooled, vector)
    assert (embedding.shape[-1], pooled.shape[-1]) == (40, 5)


def test_vectors_of_whole_texts_are_of_those_that_give_them(small: Clip, large: Clip) -> None:
    (_, left), (_, right) = read(small, "abc"), read(large, "abc")
    torch.testing.assert_close(read(beside(small, large, pools=True), "abc")[1], torch.cat([left, right], -1))
    silent = replace(small, pools=False)
    assert encode_prompt(silent, "abc").entries[0].pooled is None


def test_a_layer_as_it_is_and_the_last_normed_one_where_there_is_none(small: Clip) -> None:
    tokens = torch.tensor([[1, *map(ord, "abc"), *[2] * 73]])
    with small.network.lend() as network, torch.no_grad():
        output = network(tokens)
    for layer, wanted in ((-1, output.hidden[2]), (-2, output.hidden[1]), (-3, output.last)):
        torch.testing.assert_close(read(replace(small, stop_layer=layer), "abc")[0], wanted)


def test_an_embedding_for_one_alone_parts_no_chunks(small: Clip, large: Clip, caplog: pytest.LogCaptureFixture) -> None:
    """The first reads two chunks and the second one, to which the empty prompt is added."""
    words = {"long": {16: torch.randn(80, 16)}, "two": {16: torch.randn(2, 16), 24: torch.randn(2, 24)}}
    with caplog.at_level(logging.WARNING):
        embedding, _ = read(beside(small, large), "a embedding:long", words)
    assert "'long' is for text encoders of width 16, this one's is 24; it is left out" in caplog.text
    torch.testing.assert_close(embedding[..., :16], read(small, "a embedding:long", words)[0])
    (first, _), (empty, _) = read(large, "a"), read(large, "")
    torch.testing.assert_close(embedding[..., 16:], torch.cat([first, empty], 1))
    both, _ = read(beside(small, large), "a embedding:two", words)
    torch.testing.assert_close(both[..., 16:], read(large, "a embedding:two", words)[0])


def test_an_unknown_embedding_is_told_of_once(small: Clip, large: Clip) -> None:
    told: list[str] = []
    encode_prompt(beside(small, large), "a embedding:cat embedding:cat", warn=told.append)
    assert told == ["prompt: no embedding is named 'cat'; it is left out"]


def test_networks_are_changed_each_by_its_part(small: Clip, large: Clip) -> None:
    both = beside(small, large)
    fresh = {"clip_l": Placed(ClipText(CONFIG)), "clip_g": Placed(ClipText(WIDE))}
    changed = both.with_networks(lambda encoder: fresh[encoder.part])
    assert [encoder.network for encoder in changed.encoders] == list(fresh.values())
    assert [encoder.pad for encoder in changed.encoders] == [None, 0]
    assert both.network is small.network

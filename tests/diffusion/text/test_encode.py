"""Prompts become conditioning: shapes, precision, weights, clip skip, and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.diffusion.values import Clip, Conditioning, Placed

CONFIG = ClipTextConfig(vocabulary=128, width=16, layers=2, heads=2, mlp_width=32, end_token=2)


@pytest.fixture
def network() -> ClipText:
    torch.manual_seed(0)
    return ClipText(CONFIG)


@pytest.fixture
def clip(network: ClipText, letters: Tokenizer) -> Clip:
    return Clip(Placed(network), letters)


def embedding(conditioning: Conditioning) -> Tensor:
    return conditioning.entries[0].embedding


def pooled(conditioning: Conditioning) -> Tensor:
    vector = conditioning.entries[0].pooled
    assert vector is not None
    return vector


def test_chunks_follow_each_other_in_one_entry(clip: Clip) -> None:
    conditioning = encode_prompt(clip, "x" * 80)
    (entry,) = conditioning.entries
    assert embedding(conditioning).shape == (1, 154, 16)
    assert pooled(conditioning).shape == (1, 16)
    first, second = encode_prompt(clip, "x" * 75), encode_prompt(clip, "x" * 5)
    both = torch.cat([embedding(first), embedding(second)], dim=1)
    torch.testing.assert_close(entry.embedding, both)
    torch.testing.assert_close(entry.pooled, pooled(first))


def test_a_weight_scales_the_distance_from_the_empty_prompt(clip: Clip) -> None:
    plain, empty = embedding(encode_prompt(clip, "abc")), embedding(encode_prompt(clip, ""))
    heavy = embedding(encode_prompt(clip, "a(b:2)c"))
    torch.testing.assert_close(heavy[:, 2], 2 * plain[:, 2] - empty[:, 2])
    others = [0, 1, *range(3, 77)]
    torch.testing.assert_close(heavy[:, others], plain[:, others])
    torch.testing.assert_close(embedding(encode_prompt(clip, "(a:0)"))[:, 1], empty[:, 1])


def test_a1111_weights_keep_the_mean(clip: Clip) -> None:
    plain = embedding(encode_prompt(clip, "abc", style="a1111"))
    heavy = embedding(encode_prompt(clip, "a(b:2)c", style="a1111"))
    torch.testing.assert_close(heavy.mean(), plain.mean())
    torch.testing.assert_close(heavy[:, 2] / heavy[:, 1], 2 * plain[:, 2] / plain[:, 1])


def test_weights_leave_pooled_alone(clip: Clip) -> None:
    torch.testing.assert_close(pooled(encode_prompt(clip, "(abc:1.5)")), pooled(encode_prompt(clip, "abc")))


def test_the_clip_names_the_style_unless_the_call_does(clip: Clip) -> None:
    square = replace(clip, prompt_style="a1111")
    torch.testing.assert_close(
        embedding(encode_prompt(square, "[abc]")), embedding(encode_prompt(clip, "[abc]", style="a1111"))
    )
    assert not torch.equal(embedding(encode_prompt(square, "[abc]")), embedding(encode_prompt(clip, "[abc]")))
    assert torch.equal(
        embedding(encode_prompt(square, "[abc]", style="comfy")), embedding(encode_prompt(clip, "[abc]"))
    )


def test_clip_skip_takes_an_earlier_layer_normed(clip: Clip, network: ClipText) -> None:
    tokens = torch.tensor([[1, *map(ord, "abc"), *[2] * 73]])
    with torch.no_grad():
        output = network(tokens)
        earlier = network.normalize(output.hidden[1])
    torch.testing.assert_close(embedding(encode_prompt(clip, "abc")), output.last)
    torch.testing.assert_close(embedding(encode_prompt(replace(clip, stop_layer=-2), "abc")), earlier)
    torch.testing.assert_close(embedding(encode_prompt(replace(clip, stop_layer=-24), "abc")), output.last)
    torch.testing.assert_close(pooled(encode_prompt(replace(clip, stop_layer=-2), "abc")), output.pooled)
    with pytest.raises(ValueError, match="stop_layer=0"):
        encode_prompt(replace(clip, stop_layer=0), "abc")


def test_padding_can_be_another_token(clip: Clip) -> None:
    zeros = encode_prompt(clip, "abc", pad=0)
    torch.testing.assert_close(embedding(zeros)[:, :5], embedding(encode_prompt(clip, "abc"))[:, :5])
    assert not torch.allclose(embedding(zeros)[:, 5:], embedding(encode_prompt(clip, "abc"))[:, 5:])


def test_half_precision_networks_give_single_precision_without_gradient(clip: Clip, network: ClipText) -> None:
    half = replace(clip, network=Placed(network.bfloat16()))
    conditioning = encode_prompt(half, "a (b:1.5) c")
    for tensor in (embedding(conditioning), pooled(conditioning)):
        assert tensor.dtype == torch.float32
        assert not tensor.requires_grad
        assert tensor.isfinite().all()


def test_chunks_and_the_empty_prompt_are_one_batch(clip: Clip, network: ClipText) -> None:
    batches: list[Sequence[int]] = []

    def watch(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        batches.append(inputs[0].shape)

    network.register_forward_pre_hook(watch)
    encode_prompt(clip, "x" * 80 + "(y)")
    encode_prompt(clip, "x" * 80)
    assert batches == [(3, 77), (2, 77)]


def test_a_very_long_prompt_is_encoded_in_batches_of_bounded_size(clip: Clip, network: ClipText) -> None:
    sizes: list[int] = []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    letters = "".join(chr(97 + place % 26) for place in range(75 * 70))
    long = replace(clip, stop_layer=-2)
    conditioning = encode_prompt(long, letters)
    assert sizes == [32, 32, 6]
    last = encode_prompt(long, letters[75 * 69 :])
    torch.testing.assert_close(embedding(conditioning)[:, 77 * 69 :], embedding(last))
    torch.testing.assert_close(pooled(conditioning), pooled(encode_prompt(long, letters[:75])))


def test_an_unknown_embedding_is_left_out_with_a_warning(clip: Clip, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        conditioning = encode_prompt(clip, "ab embedding:easynegative")
    assert "no embedding is named 'easynegative'" in caplog.text
    assert torch.equal(embedding(conditioning), embedding(encode_prompt(clip, "ab")))


def test_a_tokenizer_of_another_model_is_refused(clip: Clip) -> None:
    other = replace(clip, network=Placed(ClipText(replace(CONFIG, end_token=3))))
    with pytest.raises(ValueError, match=r"end token is 2, the text encoder's 3"):
        encode_prompt(other, "a")
    with pytest.raises(ValueError, match="gave the id 233, the text encoder has 128 tokens"):
        encode_prompt(clip, "é")
    with pytest.raises(TypeError, match=r"Clip\.tokenizer: got object"):
        encode_prompt(replace(clip, tokenizer=object()), "a")  # type: ignore[arg-type]

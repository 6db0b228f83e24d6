"""Prompt nodes, called as the functions that they are."""

from __future__ import annotations

import pytest
import torch

from nodegraph import Context
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry
from nodegraph.nodes import conditioning as nodes


def prompt(seed: int, tokens: int = 77, *, pooled: bool = True) -> Conditioning:
    generator = torch.Generator().manual_seed(seed)
    embedding, summary = torch.randn(1, tokens, 4, generator=generator), torch.randn(1, 4, generator=generator)
    return Conditioning((ConditioningEntry(embedding, summary if pooled else None),))


def test_stopping_a_layer_early_gives_that_layers_output(tiny: Loaded) -> None:
    early = nodes.clip_set_last_layer(tiny.clip, -2)
    assert tiny.clip.stop_layer == -1
    (entry,) = nodes.clip_text_encode(Context(), "a red circle", early).entries
    tokens = tiny.clip.tokenizer
    ids = [tokens.start, *tokens.encode("a red circle")]
    with torch.no_grad(), tiny.clip.network.lend() as network:
        output = network(torch.tensor([ids + [tokens.end] * (77 - len(ids))]))
        expected = network.normalize(output.hidden[1])
    assert torch.allclose(entry.embedding, expected, atol=1e-5)
    assert not torch.allclose(
        nodes.clip_text_encode(Context(), "a red circle", tiny.clip).entries[0].embedding, expected
    )


def test_combined_prompts_hold_side_by_side() -> None:
    one, two = prompt(1), prompt(2)
    assert nodes.conditioning_combine(one, two).entries == one.entries + two.entries


def test_concatenated_prompts_are_one_long_one_with_the_rest_of_the_first() -> None:
    one, two = prompt(1).changed(area=Area(0, 0, 8, 8)), prompt(2, 154)
    (entry,) = nodes.conditioning_concat(one, two).entries
    assert torch.equal(entry.embedding, torch.cat([one.entries[0].embedding, two.entries[0].embedding], 1))
    assert entry.pooled is one.entries[0].pooled
    assert entry.area == Area(0, 0, 8, 8)


@pytest.mark.parametrize("tokens", [77, 154, 38])
def test_an_average_goes_from_one_prompt_to_the_other(tokens: int) -> None:
    one, two = prompt(1), prompt(2, tokens)
    other = torch.zeros(1, 77, 4)
    other[:, :tokens] = two.entries[0].embedding[:, :77]  # cut, or filled up with zeros
    for share in (0.0, 0.25, 1.0):
        (entry,) = nodes.conditioning_average(one, two, share).entries
        first, second = one.entries[0], two.entries[0]
        assert torch.allclose(entry.embedding, share * first.embedding + (1 - share) * other, atol=1e-6)
        assert first.pooled is not None
        assert second.pooled is not None
        assert entry.pooled is not None
        assert torch.allclose(entry.pooled, share * first.pooled + (1 - share) * second.pooled, atol=1e-6)


def test_an_average_takes_the_one_pooled_vector_that_there_is() -> None:
    one, two, neither = prompt(1), prompt(2, pooled=False), prompt(3, pooled=False)
    assert nodes.conditioning_average(one, two, 0.5).entries[0].pooled is one.entries[0].pooled
    assert nodes.conditioning_average(two, one, 0.5).entries[0].pooled is one.entries[0].pooled
    assert nodes.conditioning_average(two, neither, 0.5).entries[0].pooled is None


def test_no_prompt_to_take_from_is_told() -> None:
    for join in (nodes.conditioning_concat, nodes.conditioning_average):
        with pytest.raises(ValueError, match="conditioning_from: got no prompt at all"):
            join(prompt(1), Conditioning(()))


def test_zeroing_out_leaves_shapes_and_the_input_alone() -> None:
    one = nodes.conditioning_combine(prompt(1), prompt(2, pooled=False))
    first, second = nodes.conditioning_zero_out(one).entries
    assert not first.embedding.any()
    assert first.pooled is not None
    assert not first.pooled.any()
    assert second.embedding.shape == (1, 77, 4)
    assert second.pooled is None
    assert one.entries[0].embedding.any()


def test_a_range_of_the_sampling_is_set_for_every_entry() -> None:
    both = nodes.conditioning_combine(prompt(1), prompt(2))
    ranged = nodes.conditioning_set_timestep_range(both, 0.2, 0.6)
    assert [(entry.start, entry.end) for entry in ranged.entries] == [(0.2, 0.6)] * 2

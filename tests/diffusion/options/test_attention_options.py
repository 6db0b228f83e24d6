"""What is noted of attention, taken from it, and how strong its parts are, against copies of the network."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.options.attention import (
    ATTENTION,
    PERTURBED,
    CrossAttentionStrengths,
    Noted,
    NotedAttention,
    PerturbedAttention,
    SelfAttentionStrengths,
)
from nodegraph.diffusion.options.scene import staged
from nodegraph.diffusion.sampling.contract import Call
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

Play = Callable[..., Tensor]
MIDDLE = "middle_block.1.transformer_blocks.0.attn1"


@pytest.mark.parametrize(("size", "grid"), [((16, 16), (4, 4)), ((9, 14), (3, 4))])
def test_the_negative_sides_attention_is_noted(network: UNet, size: tuple[int, int], grid: tuple[int, int]) -> None:
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(4, 4, *size, generator=draws), torch.randn(4, 5, 12, generator=draws)
    inputs: list[Tensor] = []
    attention = network.get_submodule(MIDDLE)
    handle = attention.register_forward_pre_hook(lambda module, given: inputs.append(given[0].clone()))
    with staged(network, [NotedAttention()], table_of(DiffusionSchedule())) as scene:
        scene.stage.call = Call(2.0, (("positive", None), ("negative", (0, 0, *size))))
        plain, output = (
            network(x, torch.full((4,), 300.0), context=context),
            scene(x, torch.full((4,), 300.0), context=context),
        )
        noted: list[Noted] = scene.notes[ATTENTION]
        scene.stage.call = Call(2.0, (("positive", None), ("negative", None)), "another purpose")
        scene(x, torch.full((4,), 300.0), context=context)
        assert len(scene.notes[ATTENTION]) == 1
    handle.remove()
    assert torch.equal(output, plain)
    tokens = inputs[1][2:]
    layers = (attention.get_submodule(name) for name in ("to_q", "to_k"))
    q, k = (layer(tokens).unflatten(-1, (2, -1)).transpose(1, 2) for layer in layers)
    weights = torch.softmax(torch.einsum("bhic,bhjc->bhij", q, k) / q.shape[-1] ** 0.5, -1)
    torch.testing.assert_close(noted[0].share, weights.mean(1).sum(1).reshape(2, *grid))
    assert noted[0].box == (0, 0, *size)
    torch.testing.assert_close(noted[0].share.mean((1, 2)), torch.ones(2))


def test_tokens_see_themselves_alone_where_that_is_the_purpose(network: UNet, play: Play) -> None:
    changed = deepcopy(network)
    attention = changed.get_submodule(MIDDLE)
    to_v, to_out = attention.get_submodule("to_v"), attention.get_submodule("to_out")
    attention.forward = lambda x, context: to_out(to_v(context))
    torch.testing.assert_close(play(network, PerturbedAttention(), purpose=PERTURBED), play(changed))
    assert torch.equal(play(network, PerturbedAttention()), play(network))
    assert not torch.allclose(play(changed), play(network), atol=1e-5)


@pytest.mark.parametrize(("kind", "name"), [(SelfAttentionStrengths, "attn1"), (CrossAttentionStrengths, "attn2")])
def test_strengths_are_those_of_scaled_weights(
    network: UNet, play: Play, kind: type[SelfAttentionStrengths | CrossAttentionStrengths], name: str
) -> None:
    scaled = deepcopy(network)
    strengths = {"to_q": 1.3, "to_k": 0.6, "to_v": 1.2, "to_out": 0.8}
    for path, parameter in scaled.named_parameters():
        layer = next((layer for layer in strengths if f".{name}.{layer}." in path), None)
        parameter.mul_(strengths.get(layer or "", 1.0))
    torch.testing.assert_close(play(network, kind(1.3, 0.6, 1.2, 0.8)), play(scaled), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(play(scaled), play(network), atol=1e-5)

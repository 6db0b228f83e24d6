"""Options inside the network against diffusers' own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.options.attention import ATTENTION, PERTURBED, NotedAttention, PerturbedAttention
from nodegraph.diffusion.options.free_u import FreeU
from nodegraph.diffusion.options.scene import NetworkOption, staged
from nodegraph.diffusion.sampling.attention_rules import blurred, salient
from nodegraph.diffusion.sampling.contract import Call
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule

diffusers = pytest.importorskip("diffusers")
single_file = pytest.importorskip("diffusers.loaders.single_file_utils")
processors = pytest.importorskip("diffusers.models.attention_processor")
sag = pytest.importorskip("diffusers.pipelines.deprecated.stable_diffusion_sag.pipeline_stable_diffusion_sag")

CONFIG = UNetConfig(
    channels=16,
    channel_multipliers=(1, 2, 4),
    res_blocks=1,
    transformer_depths=(0, 0, 1),
    context_dim=12,
    heads=2,
    groups=8,
)
Looked = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    made = UNet(CONFIG).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if ".norm" not in name:
            parameter.normal_(std=0.3 if ".attn" in name else 0.1)
    return made


@pytest.fixture
def reference(network: UNet) -> Any:
    """Return diffusers' UNet of the same weights; its features are each as wide as their level on the way up."""
    model = diffusers.UNet2DConditionModel(
        block_out_channels=CONFIG.widths,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"),
        cross_attention_dim=CONFIG.context_dim,
        attention_head_dim=2,
        norm_num_groups=CONFIG.groups,
    ).eval()
    ldm = {f"model.diffusion_model.{key}": value for key, value in network.state_dict().items()}
    model.load_state_dict(single_file.convert_ldm_unet_checkpoint(ldm, config=dict(model.config)), strict=True)
    return model


def inputs(batch: int = 2, height: int = 16, width: int = 24) -> Looked:
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(batch, 4, height, width, generator=draws), torch.randn(batch, 7, 12, generator=draws)
    return x, torch.full((batch,), 400.0), context


def played(network: UNet, option: NetworkOption, call: Call, notes: dict[str, Any] | None = None) -> Tensor:
    x, timestep, context = inputs()
    with staged(network, [option], table_of(DiffusionSchedule())) as scene:
        scene.stage.call = call
        output = scene(x, timestep, context=context)
        (notes if notes is not None else {}).update(scene.notes)
    return output


@torch.no_grad()
def test_free_u(network: UNet, reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers goes by the level, we by the width of the features, which differ in the first block of a level."""
    blocks = pytest.importorskip("diffusers.models.unets.unet_2d_blocks")
    theirs: Callable[..., tuple[Tensor, Tensor]] = blocks.apply_freeu

    def by_width(resolution_idx: int, hidden: Tensor, skip: Tensor, **scales: float) -> tuple[Tensor, Tensor]:
        index = {64: 0, 32: 1}.get(hidden.shape[1], 2)
        return theirs(index, hidden.clone(), skip, **scales)

    plain = reference(*inputs()).sample
    reference.enable_freeu(s1=0.9, s2=0.2, b1=1.3, b2=1.4)
    monkeypatch.setattr(blocks, "apply_freeu", by_width)
    expected = reference(*inputs()).sample
    assert not torch.allclose(expected, plain, atol=1e-3)
    torch.testing.assert_close(played(network, FreeU(1.3, 1.4, 0.9, 0.2), Call()), expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_perturbed_attention(network: UNet, reference: Any) -> None:
    plain = reference(*inputs()).sample
    attention = reference.mid_block.attentions[0].transformer_blocks[0].attn1
    attention.set_processor(processors.PAGIdentitySelfAttnProcessor2_0())
    x, timestep, context = inputs()
    twice = reference(torch.cat((x, x)), timestep.repeat(2), torch.cat((context, context))).sample
    usual, perturbed = twice.chunk(2)
    torch.testing.assert_close(usual, plain, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(perturbed, plain, atol=1e-4)
    got = played(network, PerturbedAttention(), Call(purpose=PERTURBED))
    torch.testing.assert_close(got, perturbed, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_what_self_attention_guidance_blurs(network: UNet, reference: Any) -> None:
    store = sag.CrossAttnStoreProcessor()
    reference.mid_block.attentions[0].transformer_blocks[0].attn1.processor = store
    reference(*inputs())
    notes: dict[str, Any] = {}
    played(network, NotedAttention(), Call(1.0, (("negative", None),)), notes)
    sample = torch.randn(2, 4, 16, 24, generator=torch.Generator().manual_seed(3))
    pipeline = SimpleNamespace(unet=reference, scheduler=SimpleNamespace(add_noise=lambda clean, **others: clean))
    expected = sag.StableDiffusionSAGPipeline.sag_masking(
        pipeline, sample, store.attention_probs, (4, 6), torch.tensor(400), torch.zeros_like(sample)
    )
    mask = salient(notes[ATTENTION], sample)
    assert 0.1 < float(mask.mean()) < 0.9
    torch.testing.assert_close(torch.lerp(sample, blurred(sample, 1.0), mask), expected, rtol=1e-4, atol=1e-5)

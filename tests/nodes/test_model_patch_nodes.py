"""Options of a model that act inside its network, as nodes: sampled with, stacked, and told apart by the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph import Context, Options, Runtime
from nodegraph.diffusion.loading import Loaded
from nodegraph.diffusion.values import Latent, Model, Placed
from nodegraph.nodes import model_patches as nodes
from nodegraph.nodes.conditioning import clip_text_encode
from nodegraph.nodes.sampling import ksampler

CASES: dict[str, Callable[[Model], Model | nodes.Patched]] = {
    "SAG": nodes.self_attention_guidance,
    "PAG": nodes.perturbed_attention_guidance,
    "FreeU": nodes.free_u,
    "FreeU V2": nodes.free_u_v2,
    "HyperTile": partial(nodes.hyper_tile, tile_size=32),
    "ToMe": partial(nodes.tome_patch_model, ratio=0.7),
    "Deep Shrink": partial(nodes.patch_model_add_downscale, block_number=1, end_percent=1.0),
    "self-attention": partial(nodes.unet_self_attention_multiply, v=1.5),
    "cross-attention": partial(nodes.unet_cross_attention_multiply, out=0.5),
    "EasyCache": partial(nodes.easy_cache, reuse_threshold=3.0, start_percent=0.0),
    "APG": partial(nodes.adaptive_projected_guidance, eta=0.2, norm_threshold=1.0),
    "TCFG": nodes.tangential_damping,
    "FreSca": partial(nodes.fre_sca, freq_cutoff=1),
    "Mahiro": nodes.mahiro,
    "renorm": partial(nodes.renorm_cfg, renorm_cfg=0.9),
    "epsilon scaling": partial(nodes.epsilon_scaling, scaling_factor=1.1),
    "linear": nodes.video_linear_cfg_guidance,
    "triangle": nodes.video_triangle_cfg_guidance,
}


def model_of(patched: Model | nodes.Patched) -> Model:
    return patched if isinstance(patched, Model) else patched.patched_model


def sampled(tiny: Loaded, model: Model) -> Tensor:
    positive, negative = (clip_text_encode(Context(), text, tiny.clip) for text in ("a red circle", "blue"))
    start = Latent(torch.zeros(3, 4, 16, 12))
    sampled = ksampler(
        Context(), model=model, seed=3, steps=4, cfg=4.0, positive=positive, negative=negative, latent_image=start
    )
    return sampled.samples  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", CASES)
def test_each_changes_the_picture_and_not_the_model(tiny: Loaded, name: str) -> None:
    plain, changed = sampled(tiny, tiny.model), sampled(tiny, model_of(CASES[name](tiny.model)))
    assert bool(changed.isfinite().all())
    assert not torch.allclose(changed, plain, rtol=0, atol=1e-6)
    assert torch.equal(sampled(tiny, tiny.model), plain)


def test_all_of_them_go_together(tiny: Loaded) -> None:
    model = tiny.model
    for change in CASES.values():
        model = model_of(change(model))
    assert bool(sampled(tiny, model).isfinite().all())
    assert len(model.options) == 10
    assert len(model.guidance) == 9  # the two courses of frames take each other's place


@pytest.mark.parametrize(
    "change",
    [
        partial(nodes.self_attention_guidance, scale=0.0),
        partial(nodes.perturbed_attention_guidance, scale=0.0),
        partial(nodes.free_u, b1=1.0, b2=1.0, s1=1.0, s2=1.0),
        partial(nodes.tome_patch_model, ratio=0.0),
        partial(nodes.hyper_tile, tile_size=2048),
        partial(nodes.patch_model_add_downscale, block_number=1, downscale_factor=1.0),
        partial(nodes.unet_self_attention_multiply),
        partial(nodes.epsilon_scaling, scaling_factor=1.0),
    ],
)
def test_no_strength_changes_no_bit(tiny: Loaded, change: Callable[[Model], Model]) -> None:
    assert torch.equal(sampled(tiny, change(tiny.model)), sampled(tiny, tiny.model))


def test_a_model_computes_at_another_precision(tiny: Loaded) -> None:
    half = nodes.model_compute_dtype(Context(), tiny.model, "bf16")
    assert (half.network.dtype, tiny.model.network.dtype) == (torch.bfloat16, torch.float32)
    exact, rough = sampled(tiny, tiny.model), sampled(tiny, half)
    assert not torch.equal(rough, exact)
    assert float((rough - exact).norm() / exact.norm()) < 0.1
    back = nodes.model_compute_dtype(Context(settings={"dtype": "fp32"}), half)
    assert torch.equal(sampled(tiny, back), exact)
    with pytest.raises(ValueError, match="comes from no file"):
        nodes.model_compute_dtype(Context(), replace(half, network=Placed(torch.nn.Identity())), "fp32")


def test_a_block_that_the_model_lacks_is_told(tiny: Loaded) -> None:
    with pytest.raises(ValueError, match="block_number 30: the model's network has no such input block"):
        sampled(tiny, nodes.patch_model_add_downscale(tiny.model, block_number=30))


def workflow(ratio: float, b1: float) -> dict[str, Any]:
    def entry(kind: str, links: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
        return {"type": kind, "params": params, "links": links or {}}

    prompts = {"positive": "prompt.out", "negative": "prompt.out"}
    return {
        "format": 1,
        "nodes": {
            "model": entry("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
            "merged": entry("TomePatchModel", {"model": "model.model"}, ratio=ratio),
            "free": entry("FreeU", {"model": "merged.out"}, b1=b1, b2=b1),
            "prompt": entry("CLIPTextEncode", {"clip": "model.clip"}, text="a red circle"),
            "start": entry("EmptyLatentImage", width=64, height=64),
            "sample": entry("KSampler", {"model": "free.out", "latent_image": "start.out", **prompts}, steps=2, seed=1),
            "picture": entry("VAEDecode", {"samples": "sample.out", "vae": "model.vae"}),
            "save": entry("SaveImage", {"images": "picture.out"}),
        },
    }


def test_results_are_told_apart_by_the_values(tiny_models: Path, tmp_path: Path) -> None:
    runtime = Runtime(
        Options(models=(tiny_models,), output=tmp_path / "out", data=tmp_path / "data", dtype="fp32", device="cpu")
    )
    values = [(0.5, 1.5), (0.9, 1.5), (0.5, 1.9), (0.5, 1.5)]
    first, *others, again = (runtime.run(workflow(*one)).pictures[0].value.pixels for one in values)
    assert torch.equal(first, again)
    assert not any(torch.equal(first, other) for other in others)
    graph = runtime.check(workflow(0.5, 1.5))
    assert [decision.node for decision in runtime.plan(graph).explain() if decision.action == "run"] == ["save"]

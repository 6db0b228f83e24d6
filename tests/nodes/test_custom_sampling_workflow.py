"""A whole workflow of custom sampling, its parts wired, checked and run by the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Options, Runtime, WorkflowError
from nodegraph.engine.events import Event, Progress


def entry(kind: str, links: dict[str, str] | None = None, **params: Any) -> dict[str, Any]:
    return {"type": kind, "params": params, "links": links or {}}


def workflow(**changes: dict[str, Any]) -> dict[str, Any]:
    nodes = {
        "model": entry("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
        "rescaled": entry("RescaleCFG", {"model": "limited.out"}, multiplier=0.5),
        "limited": entry("GuidanceInterval", {"model": "model.model"}, start=0.0, end=0.7),
        "wanted": entry("CLIPTextEncode", {"clip": "model.clip"}, text="a red circle"),
        "unwanted": entry("CLIPTextEncode", {"clip": "model.clip"}, text="blue"),
        "empty": entry("CLIPTextEncode", {"clip": "model.clip"}, text=""),
        "guider": entry(
            "PerpNegGuider",
            {"model": "rescaled.out", "positive": "wanted.out", "negative": "unwanted.out",
             "empty_conditioning": "empty.out"},
            cfg=3.0,
        ),
        "noise": entry("RandomNoise", noise_seed=7),
        "sampler": entry("SamplerDPMPP_2M_SDE", solver_type="heun", eta=0.5, noise_device="cpu"),
        "levels": entry("AlignYourStepsScheduler", model_type="SD1", steps=4),
        "split": entry("SplitSigmas", {"sigmas": "levels.out"}, step=2),
        "start": entry("EmptyLatentImage", width=32, height=32),
        "sample": entry(
            "SamplerCustomAdvanced",
            {"noise": "noise.out", "guider": "guider.out", "sampler": "sampler.out", "sigmas": "split.high_sigmas",
             "latent_image": "start.out"},
        ),
        "rest": entry(
            "SamplerCustomAdvanced",
            {"noise": "silence.out", "guider": "guider.out", "sampler": "sampler.out", "sigmas": "split.low_sigmas",
             "latent_image": "sample.output"},
        ),
        "silence": entry("DisableNoise"),
        "picture": entry("VAEDecode", {"samples": "rest.denoised_output", "vae": "model.vae"}),
        "save": entry("SaveImage", {"images": "picture.out"}),
    }  # fmt: skip
    return {"format": 1, "nodes": nodes | changes}


@pytest.fixture
def runtime(tiny_models: Path, tmp_path: Path) -> Runtime:
    return Runtime(
        Options(models=(tiny_models,), output=tmp_path / "out", data=tmp_path / "data", dtype="fp32", device="cpu")
    )


def test_the_parts_are_wired_and_give_a_picture(runtime: Runtime) -> None:
    events: list[Event] = []
    outputs = runtime.run(workflow(), emit=events.append)
    assert outputs.result.ok
    (picture,) = outputs.pictures
    assert picture.value.pixels.shape == (1, 32, 32, 3)
    assert picture.seed == 7
    told = [event for event in events if isinstance(event, Progress) and event.node == "sample"]
    done = [(event.value, event.total) for event in told if event.message != "bytes"]  # of weights that are brought
    assert done == [(0, 2), (1, 2), (2, 2)]


def test_another_sampler_changes_the_picture_and_takes_the_rest_from_the_cache(runtime: Runtime) -> None:
    first = runtime.run(workflow()).pictures[0]
    other = runtime.run(workflow(sampler=entry("KSamplerSelect", sampler_name="euler"))).pictures[0]
    again = runtime.run(workflow()).pictures[0]
    assert torch.equal(first.value.pixels, again.value.pixels)
    assert not torch.equal(first.value.pixels, other.value.pixels)


def test_a_wire_of_another_kind_is_refused(runtime: Runtime) -> None:
    wrong = workflow(split=entry("SplitSigmas", {"sigmas": "sampler.out"}, step=2))
    with pytest.raises(WorkflowError, match="Sigmas"):
        runtime.run(wrong)

"""Nodes for pictures in whole workflows, run as a user runs them: nothing changes its inputs, results are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nodegraph import Options, Runtime
from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.upscaling import CompactConfig
from nodegraph.engine.spec import Json


def node(kind: str, links: dict[str, str] | None = None, **params: Json) -> Json:
    return {"type": kind, "params": params, "links": links or {}}


MODEL: dict[str, Json] = {
    "model": node("CheckpointLoaderSimple", ckpt_name="tiny.safetensors"),
    "prompt": node("CLIPTextEncode", {"clip": "model.clip"}, text="a cat"),
    "picture": node("EmptyImage", width=72, height=64, color=0x336699),
    "mask": node("SolidMask", width=40, height=32),
}
INPAINT: dict[str, Json] = {
    **MODEL,
    "padded": node("ImagePadForOutpaint", {"image": "picture.out"}, right=24, feathering=8),
    "shown": node(
        "InpaintModelConditioning",
        {"positive": "prompt.out", "negative": "prompt.out", "vae": "model.vae", "pixels": "padded.image",
         "mask": "padded.mask"},
    ),
    "sample": node(
        "KSampler",
        {"model": "model.model", "positive": "shown.positive", "negative": "shown.negative",
         "latent_image": "shown.latent"},
        steps=2,
    ),
    "decode": node("VAEDecodeTiled", {"samples": "sample.out", "vae": "model.vae"}, tile_size=64, overlap=16),
    "save": node("SaveImage", {"images": "decode.out"}),
}  # fmt: skip
UPSCALE: dict[str, Json] = {
    **MODEL,
    "network": node("UpscaleModelLoader", model_name="x2.safetensors"),
    "larger": node("ImageUpscaleWithModel", {"upscale_model": "network.out", "image": "picture.out"}),
    "laid": node(
        "ImageCompositeMasked", {"destination": "larger.out", "source": "picture.out", "mask": "mask.out"}, x=10, y=20
    ),
    "edges": node("Canny", {"image": "laid.out"}, low_threshold=0.1, high_threshold=0.2),
    "save": node("SaveAnimatedPNG", {"images": "edges.out"}),
}
LATENTS: dict[str, Json] = {
    **MODEL,
    "encoded": node("VAEEncodeTiled", {"pixels": "picture.out", "vae": "model.vae"}),
    "operation": node("LatentOperationTonemapReinhard"),
    "changed": node("LatentApplyOperation", {"samples": "encoded.out", "operation": "operation.out"}),
    "both": node("LatentBatch", {"samples1": "encoded.out", "samples2": "changed.out"}),
    "singles": node("RebatchLatents", {"latents": "both.out"}),
    "decoded": node("VAEDecode", {"samples": "singles.out", "vae": "model.vae"}),
    "together": node("RebatchImages", {"images": "decoded.out"}, batch_size=2),
    "save": node("SaveAnimatedWEBP", {"images": "together.out"}, method="fastest"),
}


@pytest.fixture(scope="module")
def runtime(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    models = tmp_path_factory.mktemp("models")
    (models / "upscale_models").mkdir()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Compact(CompactConfig(channels=4, convolutions=1, scale=2))
    save_file(network.state_dict(), models / "upscale_models" / "x2.safetensors")
    folder = tmp_path_factory.mktemp("run")
    options = Options(
        models=(models, tiny_models), output=folder / "output", data=folder / "data", device="cpu", dtype="fp32",
        check_mutation=True, plugins=False,
    )  # fmt: skip
    return Runtime(options)


@pytest.mark.parametrize(
    ("nodes", "size"), [(INPAINT, (96, 64)), (UPSCALE, (144, 128)), (LATENTS, (72, 64))], ids=["inpaint", "upscale",
                                                                                             "latents"]
)  # fmt: skip
def test_a_workflow_runs_and_changes_nothing_on_its_way(
    runtime: Runtime, nodes: dict[str, Json], size: tuple[int, int]
) -> None:
    document: dict[str, Json] = {"format": 1, "nodes": nodes}
    outputs = runtime.run(document)
    outputs.result.check()
    assert [picture.pillow.size for picture in outputs.pictures] == [size]
    again = runtime.plan(runtime.check(document))
    assert again.runs == ("save",), "all else is kept"

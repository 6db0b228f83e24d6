"""Loading checkpoints: precisions, memory, old names, what is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion import registry
from nodegraph.diffusion.weights.errors import IncompleteModelError, MissingFileError, NotSafetensorsError, WeightsError
from nodegraph.diffusion.weights.hints import KEY
from nodegraph.diffusion.weights.layouts.sd1 import SD1
from nodegraph.diffusion.weights.load import load_checkpoint
from nodegraph.diffusion.weights.save import save_checkpoint

METADATA = {KEY: '{"unet": {"groups": 8, "heads": 4}, "vae": {"groups": 8}, "clip": {"heads": 4}}'}
CLIP_PREFIX = "cond_stage_model.transformer."


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {key: tensor.float() for key, tensor in network.state_dict().items()}


def load(path: Path, dtype: torch.dtype = torch.float32) -> Mapping[str, nn.Module]:
    return load_checkpoint(path, device="cpu", dtype=dtype).networks


@pytest.mark.parametrize("wanted", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("stored", [torch.float32, torch.float16, torch.bfloat16])
def test_each_precision_loads_as_each(
    tmp_path: Path, networks: Mapping[str, nn.Module], stored: torch.dtype, wanted: torch.dtype
) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", networks, dtype=stored)
    loaded = load(path, wanted)
    for name, network in networks.items():
        # The autoencoder overflows in fp16, so it is kept in fp32.
        expected = torch.float32 if (name, wanted) == ("vae", torch.float16) else wanted
        assert {parameter.dtype for parameter in loaded[name].parameters()} == {expected}
        torch.testing.assert_close(state_of(loaded[name]), state_of(network), rtol=0, atol=0)


def test_float8_weights_load_at_a_wider_precision(
    tmp_path: Path, tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module]
) -> None:
    path = saved(tmp_path / "a.safetensors", {key: value.to(torch.float8_e4m3fn) for key, value in tensors.items()})
    loaded = load(path, torch.bfloat16)
    for name, network in networks.items():
        torch.testing.assert_close(state_of(loaded[name]), state_of(network), rtol=0, atol=0)


def test_a_loaded_checkpoint_says_what_it_is(checkpoint: Path, networks: Mapping[str, nn.Module]) -> None:
    loaded = load_checkpoint(checkpoint, device="cpu", dtype=torch.float32)
    assert loaded.family is SD1
    assert (loaded.unet, loaded.vae, loaded.clip) == tuple(loaded.networks[name] for name in ("unet", "vae", "clip"))
    assert {name: network.config for name, network in loaded.networks.items()} == {
        name: network.config for name, network in networks.items()
    }
    assert not any(network.training for network in loaded.networks.values())
    assert not any(p.requires_grad for network in loaded.networks.values() for p in network.parameters())
    assert loaded.sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="the memory map is read from Linux's /proc")
def test_weights_of_the_wanted_precision_are_pages_of_the_file(checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint, device="cpu", dtype=torch.float32)
    mapped = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(str(checkpoint)):
            start, end = (int(address, 16) for address in line.split()[0].split("-"))
            mapped.append(range(start, end))
    parameters = [p for network in loaded.networks.values() for p in network.parameters()]
    assert all(any(p.data_ptr() in pages for pages in mapped) for p in parameters)


def test_weights_may_be_changed_without_changing_the_file(checkpoint: Path) -> None:
    before = checkpoint.read_bytes()
    with torch.no_grad():
        for network in load(checkpoint).values():
            for parameter in network.parameters():
                parameter.add_(1)
    assert checkpoint.read_bytes() == before


def test_progress_counts_bytes_and_may_stop_the_loading(checkpoint: Path) -> None:
    calls: list[tuple[int, int]] = []
    load_checkpoint(checkpoint, device="cpu", progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1]

    class CancelledError(Exception):
        pass

    def cancel(done: int, total: int) -> None:
        if done > total // 2:
            raise CancelledError

    with pytest.raises(CancelledError):
        load_checkpoint(checkpoint, device="cpu", progress=cancel)


def saved(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file(dict(tensors), path, METADATA)
    return path


def test_files_by_others_load(tmp_path: Path, tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module]) -> None:
    extra = {
        "betas": torch.zeros(1000),
        "alphas_cumprod": torch.zeros(1000),
        "model_ema.decay": torch.tensor(0.999),
        "model_ema.diffusion_modelinput_blocks00weight": torch.zeros(16, 4, 3, 3),
        "first_stage_model.loss.logvar": torch.tensor(0.0),
        f"{CLIP_PREFIX}text_model.embeddings.position_ids": torch.arange(77)[None],
        f"{CLIP_PREFIX}logit_scale": torch.tensor(1.0),
        "cond_stage_model.logit_scale": torch.tensor(1.0),
    }
    loaded = load(saved(tmp_path / "a.safetensors", {**tensors, **extra}))
    for name, network in networks.items():
        torch.testing.assert_close(state_of(loaded[name]), state_of(network), rtol=0, atol=0)


def test_old_names_and_shapes_load(
    tmp_path: Path, tensors: Mapping[str, Tensor], networks: Mapping[str, nn.Module]
) -> None:
    old = {key.replace(f"{CLIP_PREFIX}text_model.", CLIP_PREFIX): value for key, value in tensors.items()}
    old[f"{CLIP_PREFIX}embeddings.position_ids"] = torch.arange(77.0)[None]
    old[f"{CLIP_PREFIX}text_projection.weight"] = torch.zeros(24, 24)
    for half in ("encoder", "decoder"):
        for name, rank in (("q", 2), ("k", 2), ("v", 3), ("proj_out", 3)):
            key = f"first_stage_model.{half}.mid.attn_1.{name}.weight"
            old[key] = old[key].flatten(rank - 1).contiguous()
            assert old[key].ndim == rank
    loaded = load(saved(tmp_path / "a.safetensors", old))
    for name, network in networks.items():
        torch.testing.assert_close(state_of(loaded[name]), state_of(network), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model.diffusion_model.time_embed.0.bias": None}, "unet: no time_embed.0.bias"),
        (
            {"first_stage_model.decoder.conv_out.bias": torch.zeros(4)},
            "vae: decoder.conv_out.bias is [4], expected [3]",
        ),
        (
            {"model.diffusion_model.input_blocks.1.2.weight": torch.zeros(4)},
            "unet: unknown tensor input_blocks.1.2.weight",
        ),
        (
            {"model.diffusion_model.time_embed.0.bias": torch.zeros(64, dtype=torch.uint8)},
            "unet: time_embed.0.bias is stored as U8, expected floating point",
        ),
        (
            {f"{CLIP_PREFIX}text_model.embeddings.position_embedding.weight": None},
            "clip: no text_model.embeddings.position_embedding.weight",
        ),
        (
            {"model.diffusion_model.input_blocks.1.0.in_layers.2.weight": torch.zeros(24, 16, 3, 3)},
            "unet: input_blocks: a width of 24 is no multiple of the first, 16",
        ),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    tmp_path: Path, tensors: Mapping[str, Tensor], changes: Mapping[str, Tensor | None], told: str
) -> None:
    wanted = {key: value for key, value in {**tensors, **changes}.items() if value is not None}
    path = saved(tmp_path / "a.safetensors", wanted)
    with pytest.raises(IncompleteModelError) as caught:
        load(path)
    assert caught.value.problems == (told,)
    assert str(caught.value).startswith(f"{path}: Stable Diffusion 1.x checkpoint that cannot be loaded: ")


def test_many_problems_are_counted(tmp_path: Path, tensors: Mapping[str, Tensor]) -> None:
    wanted = {key: value for key, value in tensors.items() if "decoder.mid" not in key}
    with pytest.raises(IncompleteModelError, match=r"and \d+ more$") as caught:
        load(saved(tmp_path / "a.safetensors", wanted))
    assert len(caught.value.problems) > 5


def test_a_missing_part_is_named(tmp_path: Path, tensors: Mapping[str, Tensor]) -> None:
    wanted = {key: value for key, value in tensors.items() if not key.startswith("first_stage_model.")}
    with pytest.raises(IncompleteModelError, match=r"no autoencoder \(first_stage_model\.\* or vae\.\*\)"):
        load(saved(tmp_path / "a.safetensors", wanted))


def test_no_file_and_no_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"none\.safetensors: no such file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(NotSafetensorsError, match="expected folders such as unet/"):
        load(tmp_path)
    assert issubclass(MissingFileError, WeightsError)


def test_families_that_plugins_register_are_tried(checkpoint: Path) -> None:
    with pytest.raises(WeightsError, match="not a checkpoint of a known model family"):
        load_checkpoint(checkpoint, device="cpu", families=())
    before = registry.activate(registry.Extensions().extended("mine", families=[SD1]))
    try:
        assert load_checkpoint(checkpoint, device="cpu").family is SD1
    finally:
        registry.activate(before)
    assert registry.families()[0] is SD1

"""Telling families and configurations from names and shapes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.values import DiffusionSchedule, FlowSchedule
from nodegraph.diffusion.weights.detect import detect
from nodegraph.diffusion.weights.errors import IncompleteModelError, MetadataError, UnknownModelError
from nodegraph.diffusion.weights.family import Telltale
from nodegraph.diffusion.weights.header import TensorInfo
from nodegraph.diffusion.weights.hints import Hints, schedule_values
from nodegraph.diffusion.weights.layouts.sd1 import CLIP, SD1, UNET, VAE
from nodegraph.diffusion.weights.source import Source

FILE = Path("model.safetensors")


def source(tensors: Mapping[str, Tensor], hints: Mapping[str, Any] | None = None) -> Source:
    infos = {name: TensorInfo(FILE, name, "F16", tuple(t.shape), 2 * t.numel()) for name, t in tensors.items()}
    return Source(FILE, False, infos, Hints(FILE, hints or {}))


def infos_of(network: nn.Module) -> dict[str, TensorInfo]:
    return dict(source(network.state_dict()).tensors)


@st.composite
def unet_configs(draw: st.DrawFn) -> UNetConfig:
    levels = draw(st.integers(1, 4))
    depths = st.lists(st.integers(0, 3), min_size=levels, max_size=levels).map(tuple)
    multipliers = st.lists(st.integers(1, 4), min_size=levels, max_size=levels).map(tuple)
    heads = draw(st.sampled_from([(8, None), (1, None), (8, 4), (8, 8)]))
    return UNetConfig(
        in_channels=draw(st.integers(1, 9)),
        out_channels=draw(st.integers(1, 8)),
        channels=draw(st.sampled_from([8, 16, 24])),
        channel_multipliers=draw(multipliers),
        res_blocks=draw(st.integers(1, 3)),
        transformer_depths=draw(depths),
        middle_depth=draw(st.integers(1, 3)),
        context_dim=draw(st.integers(1, 40)),
        heads=heads[0],
        head_dim=heads[1],
        linear_projection=draw(st.booleans()),
        groups=draw(st.sampled_from([1, 2, 8])),
    )


@st.composite
def vae_configs(draw: st.DrawFn) -> AutoencoderConfig:
    latent_channels = draw(st.integers(1, 16))
    color = st.tuples(*[st.floats(-1, 1)] * 3)
    rows = draw(st.sampled_from([0, latent_channels + 1]))
    return AutoencoderConfig(
        image_channels=draw(st.integers(1, 4)),
        latent_channels=latent_channels,
        channels=draw(st.sampled_from([8, 16])),
        channel_multipliers=draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)),
        res_blocks=draw(st.integers(1, 3)),
        scale_factor=draw(st.floats(0.01, 2)),
        shift_factor=draw(st.floats(-1, 1)),
        quant_conv=draw(st.booleans()),
        groups=draw(st.sampled_from([1, 4, 8])),
        preview_colors=tuple(draw(st.lists(color, min_size=rows, max_size=rows))),
    )


@st.composite
def clip_configs(draw: st.DrawFn) -> ClipTextConfig:
    vocabulary = draw(st.integers(2, 200))
    return ClipTextConfig(
        vocabulary=vocabulary,
        length=draw(st.integers(1, 100)),
        width=draw(st.sampled_from([12, 24])),
        layers=draw(st.integers(1, 4)),
        heads=draw(st.sampled_from([1, 2, 4])),
        mlp_width=draw(st.integers(1, 60)),
        activation=draw(st.sampled_from(["quick_gelu", "gelu"])),
        end_token=draw(st.integers(1, vocabulary - 1)),
    )


def settings_of(part: str, config: object, names: tuple[str, ...]) -> Hints:
    return Hints(FILE, {part: {name: getattr(config, name) for name in names}})


@settings(max_examples=25, deadline=None)
@given(config=unet_configs())
def test_a_unet_tells_its_configuration(config: UNetConfig) -> None:
    with torch.device("meta"):
        tensors = infos_of(UNet(config))
    assert UNET.configure(tensors, settings_of("unet", config, UNET.settings)) == config


@settings(max_examples=25, deadline=None)
@given(config=vae_configs())
def test_an_autoencoder_tells_its_configuration(config: AutoencoderConfig) -> None:
    with torch.device("meta"):
        tensors = infos_of(Autoencoder(config))
    assert VAE.configure(tensors, settings_of("vae", config, VAE.settings)) == config


@settings(max_examples=25, deadline=None)
@given(config=clip_configs())
def test_a_text_encoder_tells_its_configuration(config: ClipTextConfig) -> None:
    with torch.device("meta"):
        tensors = infos_of(ClipText(config))
    assert CLIP.configure(tensors, settings_of("clip", config, CLIP.settings)) == config


def test_stable_diffusion_1_is_known_without_settings() -> None:
    with torch.device("meta"):
        parts = {
            "unet": UNet(UNetConfig()),
            "vae": Autoencoder(AutoencoderConfig()),
            "clip": ClipText(ClipTextConfig()),
        }
    prefixes = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "clip": "cond_stage_model.transformer."}
    tensors = {
        prefixes[name] + key: tensor for name, part in parts.items() for key, tensor in part.state_dict().items()
    }
    detected = detect(source(tensors), [SD1])
    assert detected.family is SD1
    assert dict(detected.configs) == {"unet": UNetConfig(), "vae": AutoencoderConfig(), "clip": ClipTextConfig()}
    assert (detected.prediction, detected.schedule) == ("eps", DiffusionSchedule())
    assert detected.missing == ()


def test_settings_beside_the_weights_are_taken(tensors: Mapping[str, Tensor]) -> None:
    schedule = DiffusionSchedule("linear", 0.0001, 0.02, 500, zero_terminal_snr=True)
    hints = {
        "prediction": "v",
        "schedule": schedule_values(schedule),
        "unet": {"groups": 4, "heads": 2},
        "vae": {"groups": 2, "scale_factor": 2},
        "clip": {"heads": 3},
    }
    detected = detect(source(tensors, hints), [SD1])
    assert (detected.prediction, detected.schedule) == ("v", schedule)
    assert (detected.configs["unet"].groups, detected.configs["unet"].heads) == (4, 2)
    assert (detected.configs["vae"].groups, detected.configs["vae"].scale_factor) == (2, 2.0)
    assert detected.configs["clip"].heads == 3


def test_every_kind_of_schedule_survives_its_json() -> None:
    for schedule in (FlowSchedule(shift=3.0), DiffusionSchedule(steps=10)):
        hints = Hints(FILE, {"schedule": schedule_values(schedule)})
        assert hints.schedule(DiffusionSchedule()) == schedule


@pytest.mark.parametrize(
    ("hints", "told"),
    [
        ({"unet": {"heads": "8"}}, r"unet\.heads: got '8', expected a whole number"),
        ({"unet": {"groups": 0}}, r"unet\.groups: got 0"),
        ({"unet": {"heads": True}}, r"unet\.heads: got True"),
        ({"unet": [8]}, r"unet: got \[8\], expected a JSON object"),
        ({"vae": {"scale_factor": float("nan")}}, r"vae\.scale_factor: got nan"),
        ({"vae": {"preview_colors": [[1, 0, 0]] * 4}}, r"vae\.preview_colors: .*expected a list of 5 lists of three"),
        ({"vae": {"preview_colors": [[1, 0, "0"]] * 5}}, r"vae\.preview_colors: .*expected a list of 5 lists of three"),
        ({"clip": {"activation": "relu"}}, r"clip\.activation: got 'relu', expected one of quick_gelu, gelu"),
        ({"prediction": "noise"}, r"prediction: got 'noise', expected one of eps, v"),
        ({"schedule": {"betas": "square"}}, r"schedule\.betas: got 'square'"),
        ({"schedule": {"zero_terminal_snr": 1}}, r"schedule\.zero_terminal_snr: got 1"),
        ({"schedule": {"kind": "warp"}}, r"schedule\.kind: got 'warp'"),
        ({"vae": {"scale_factor": 0.0}}, r"vae\.scale_factor: got 0\.0, expected a number above 0"),
        ({"schedule": {"steps": 10**12}}, r"schedule: .*steps=1000000000000.*: expected 1 to 100000 steps"),
        ({"schedule": {"beta_start": -5.0}}, r"schedule: .*beta_start=-5\.0.*: expected 0 < beta_start"),
        ({"schedule": {"beta_end": 2}}, r"schedule: .*beta_end=2\.0.*: expected 0 < beta_start <= beta_end < 1"),
        ({"schedule": {"kind": "flow", "shift": 0}}, r"schedule: .*shift=0\.0.*: expected a shift and a multiplier"),
        ({"schedule": {"kind": "edm", "sigma_min": 300}}, r"schedule: .*: expected 0 < sigma_min < sigma_max"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    tensors: Mapping[str, Tensor], hints: dict[str, Any], told: str
) -> None:
    hints = {"unet": {"groups": 8}, "vae": {"groups": 8}} | hints
    with pytest.raises(MetadataError, match=told):
        detect(source(tensors, hints), [SD1])


def test_metadata_that_is_no_json_object_is_refused() -> None:
    for text in ("{", "[]"):
        with pytest.raises(MetadataError, match=r"model\.safetensors"):
            Hints.from_metadata(FILE, {"nodegraph.config": text})


def test_widths_that_no_groups_divide_are_told(tensors: Mapping[str, Tensor]) -> None:
    with pytest.raises(IncompleteModelError, match="groups=32 does not divide the width 16"):
        detect(source(tensors), [SD1])


def changed(tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...] | None) -> dict[str, Tensor]:
    name = f"model.diffusion_model.{key}"
    rest = {other: tensor for other, tensor in tensors.items() if other != name}
    return rest if shape is None else rest | {name: torch.empty(shape)}


@pytest.mark.parametrize(
    ("key", "shape", "missing"),
    [
        (
            "input_blocks.0.0.weight",
            (16, 5, 3, 3),
            "input_blocks.0.0.weight is [16, 5, 3, 3], expected [*, 4|9|8, 3, 3]",
        ),
        ("middle_block.1.proj_in.weight", (32, 32), "middle_block.1.proj_in.weight is [32, 32], expected [*, *, 1, 1]"),
        ("out.2.weight", None, "no out.2.weight"),
        ("label_emb.0.0.weight", (64, 8), "has label_emb.0.0.weight"),
    ],
)
def test_a_relative_is_not_taken_for_the_family(
    tensors: Mapping[str, Tensor], key: str, shape: tuple[int, ...] | None, missing: str
) -> None:
    with pytest.raises(UnknownModelError) as caught:
        detect(source(changed(tensors, key, shape)), [SD1])
    assert caught.value.nearest == "Stable Diffusion 1.x"
    assert caught.value.missing == (f"unet: {missing}",)
    assert missing in str(caught.value)
    assert str(FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("lora_unet_down_blocks_0_proj.lora_up.weight", "a LoRA"),
        ("control_model.zero_convs.0.0.weight", "a ControlNet"),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "a Flux model"),
        ("conditioner.embedders.1.model.ln_final.weight", "an SDXL model"),
        ("decoder.up.0.block.0.conv1.weight", "an autoencoder alone"),
        ("down_blocks.0.resnets.0.conv1.weight", "a denoising network alone"),
    ],
)
def test_what_else_a_file_looks_like_is_told(name: str, kind: str) -> None:
    with pytest.raises(UnknownModelError, match=f"looks like {kind}"):
        detect(source({name: torch.empty(1)}), [SD1])


def test_the_first_family_that_fits_is_taken_and_the_nearest_named(tensors: Mapping[str, Tensor]) -> None:
    hints = {"unet": {"groups": 8}, "vae": {"groups": 8}}
    needs_more = replace(SD1, name="more", title="More", has_any=(Telltale("unet", "a"), Telltale("unet", "b")))
    far = replace(needs_more, title="Far", has_none=(Telltale("unet", "out.2.weight"),))
    assert detect(source(tensors, hints), [needs_more, SD1]).family is SD1
    with pytest.raises(UnknownModelError, match=r"nearest is More, which it is not: unet: no a or unet: no b"):
        detect(source(tensors, hints), [far, needs_more])
    with pytest.raises(UnknownModelError, match=r"not a checkpoint of a known model family$"):
        detect(source({}), [])


def test_detection_does_not_need_torch() -> None:
    code = "import sys, nodegraph.diffusion.weights.describe; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

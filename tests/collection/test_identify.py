"""What a file is is told by the names and shapes of its tensors, whatever it is called and wherever it lies."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.collection.identify import Identity, identify
from nodegraph.collection.signs import SIGNS
from nodegraph.diffusion.models.clip import ClipText
from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.configs import AutoencoderConfig, ClipTextConfig, UNetConfig
from nodegraph.diffusion.models.rrdb import Rrdb
from nodegraph.diffusion.models.span import Span
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.models.upscaling import CompactConfig, RrdbConfig, SpanConfig
from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.weights.errors import PickledFileError, TruncatedFileError, WeightsError
from nodegraph.diffusion.weights.layouts.sd1 import SD1
from tests.collection.conftest import Place, Shapes

Told = Callable[..., Identity]
SD_UNET, SD_VAE, SD_CLIP = "model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer."
BLOCK = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


def shapes(network: torch.nn.Module, prefix: str = "") -> Shapes:
    return {prefix + name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def sd1() -> Mapping[str, Shapes]:
    """Return the names and shapes of Stable Diffusion 1's parts, as large as they are."""
    with torch.device("meta"):
        return {
            "unet": shapes(UNet(UNetConfig()), SD_UNET),
            "inpainting": shapes(UNet(UNetConfig(in_channels=9)), SD_UNET),
            "vae": shapes(Autoencoder(AutoencoderConfig()), SD_VAE),
            "clip": shapes(ClipText(ClipTextConfig()), SD_CLIP),
        }


@pytest.fixture
def told(tmp_path: Path, place: Place) -> Told:
    def identified(tensors: Shapes, dtype: str = "F16") -> Identity:
        return identify(place(tmp_path / "any.safetensors", tensors, dtype), [SD1])

    return identified


def test_a_checkpoint_is_told_with_its_family(told: Told, sd1: Mapping[str, Shapes]) -> None:
    found = told({**sd1["unet"], **sd1["vae"], **sd1["clip"]})
    assert (found.kind, found.what, found.family) == ("checkpoints", "checkpoint", "Stable Diffusion 1.x")
    assert (found.detail, found.precision, found.loads) == ("", "fp16", True)
    assert found.parameters == 1_066_235_307


def test_what_a_checkpoint_lacks_is_told(told: Told, sd1: Mapping[str, Shapes]) -> None:
    found = told({**sd1["inpainting"], **sd1["vae"]})
    assert found.kind == "checkpoints"
    assert found.detail == "for inpainting; without text encoder"


@pytest.mark.parametrize("prefix", [SD_UNET, ""])
def test_a_network_alone_is_no_checkpoint(told: Told, sd1: Mapping[str, Shapes], prefix: str) -> None:
    found = told({name.replace(SD_UNET, prefix): shape for name, shape in sd1["unet"].items()})
    assert (found.kind, found.what) == ("diffusion_models", "denoising network")
    assert (found.family, found.loads) == ("Stable Diffusion 1.x", True)


@pytest.mark.parametrize("prefix", [SD_VAE, "vae.", ""])
def test_an_autoencoder_alone_is_told(told: Told, sd1: Mapping[str, Shapes], prefix: str) -> None:
    found = told({name.replace(SD_VAE, prefix): shape for name, shape in sd1["vae"].items()}, "F32")
    assert (found.kind, found.family) == ("vae", "Stable Diffusion 1, 2 or XL")
    assert (found.detail, found.precision, found.loads) == ("4 latent channels", "fp32", True)
    assert found.title == "autoencoder for Stable Diffusion 1, 2 or XL"


@pytest.mark.parametrize("prefix", [SD_CLIP, "", "text_encoders.clip_l.transformer."])
def test_a_text_encoder_alone_is_told(told: Told, sd1: Mapping[str, Shapes], prefix: str) -> None:
    found = told({name.replace(SD_CLIP, prefix): shape for name, shape in sd1["clip"].items()})
    assert (found.kind, found.what, found.family) == ("text_encoders", "text encoder", "CLIP-L")
    assert found.loads


SMALL = {"width": 1280, "heads": 20, "mlp_width": 8}


@pytest.mark.parametrize(("layers", "projection", "loads"), [(32, 1280, True), (32, None, False), (24, 1280, False)])
@pytest.mark.parametrize("prefix", ["", "text_encoders.clip_g.transformer."])
def test_a_large_text_encoder_is_of_use_where_it_is_whole(
    told: Told, layers: int, projection: int | None, loads: bool, prefix: str
) -> None:
    """OpenCLIP's bigG has 32 layers and a projection."""
    with torch.device("meta"):
        network = ClipText(ClipTextConfig(layers=layers, projection=projection, **SMALL))  # type: ignore[arg-type]
    found = told(shapes(network, prefix))
    assert (found.kind, found.what, found.loads) == ("text_encoders", "text encoder", loads)


@pytest.mark.parametrize(
    ("tensors", "what", "family", "detail"),
    [
        (
            {f"lora_unet_{BLOCK}.lora_down.weight": (8, 768), f"lora_unet_{BLOCK}.lora_up.weight": (320, 8)},
            *("LoRA", "Stable Diffusion 1.x", "1 layer (2 keys), rank 8"),
        ),
        (
            {
                f"lora_unet_{BLOCK}.lora_down.weight": (8, 768),
                f"lora_unet_{BLOCK}.lora_up.weight": (320, 8),
                f"lora_unet_{BLOCK}.alpha": (),
                "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight": (4, 768),
                "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_up.weight": (768, 4),
            },
            *("LoRA", "Stable Diffusion 1.x", "2 layers (5 keys), 1 of them of the text encoder, ranks 4 to 8"),
        ),
        (
            {f"unet.{BLOCK}.lora_A.weight": (8, 2048), f"unet.{BLOCK}.lora_B.weight": (640, 8)},
            *("LoRA", "SDXL", "1 layer (2 keys), rank 8"),
        ),
        (
            {"lora_unet_conv.lora_down.weight": (4, 320, 3, 3), "lora_unet_conv.lora_up.weight": (320, 4, 1, 1)},
            *("LoCon", None, "1 layer (2 keys), rank 4"),
        ),
        (
            {f"lora_unet_{BLOCK}.hada_{role}": shape for role, shape in
             (("w1_a", (320, 4)), ("w1_b", (4, 1024)), ("w2_a", (320, 4)), ("w2_b", (4, 1024)))},
            *("LoHa", "Stable Diffusion 2.x", "1 layer (4 keys)"),
        ),
        (
            {f"lycoris_{BLOCK}.lokr_w1": (8, 8), f"lycoris_{BLOCK}.lokr_w2": (40, 96)},
            *("LoKr", "Stable Diffusion 1.x", "1 layer (2 keys)"),
        ),
        (
            {
                f"lora_unet_{BLOCK}.lora_down.weight": (8, 768),
                f"lora_unet_{BLOCK}.lora_up.weight": (320, 8),
                f"lora_unet_{BLOCK}.dora_scale": (1, 768),
            },
            *("DoRA", "Stable Diffusion 1.x", "1 layer (3 keys), rank 8"),
        ),
        (
            {"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (16, 3072),
             "lora_unet_double_blocks_0_img_attn_qkv.lora_up.weight": (9216, 16)},
            *("LoRA", "FLUX.1", "1 layer (2 keys), rank 16"),
        ),
        ({f"oft_unet_{BLOCK}.oft_blocks": (4, 80, 80)}, "OFT", None, "1 layer (1 key)"),
        ({f"diffusion_model.{BLOCK}.diff": (320, 768)}, "full difference", "Stable Diffusion 1.x", "1 layer (1 key)"),
    ],
)  # fmt: skip
def test_adapters_are_told_with_the_family_that_they_are_for(
    told: Told, tensors: Shapes, what: str, family: str | None, detail: str
) -> None:
    found = told(tensors)
    assert (found.kind, found.what, found.family, found.detail) == ("loras", what, family, detail)
    assert found.loads == (family in (None, SD1.title))


@pytest.mark.parametrize(
    ("tensors", "family", "detail"),
    [
        ({"emb_params": (3, 768)}, "Stable Diffusion 1.x", "3 vectors"),
        ({"<cat>": (768,)}, "Stable Diffusion 1.x", "1 vector"),
        ({"clip_l": (2, 768), "clip_g": (2, 1280)}, "SDXL", "2 vectors"),
        ({"emb_params": (1, 1024)}, "Stable Diffusion 2.x", "1 vector"),
        ({"emb_params": (1, 16)}, None, "1 vector"),
    ],
)
def test_embeddings_are_told(told: Told, tensors: Shapes, family: str | None, detail: str) -> None:
    found = told(tensors)
    assert (found.kind, found.what, found.family, found.detail) == ("embeddings", "embedding", family, detail)


@pytest.mark.parametrize(
    ("network", "family", "detail"),
    [
        (Rrdb(RrdbConfig(channels=8, growth=4, blocks=1)), "ESRGAN", "4 times as large"),
        (Compact(CompactConfig(channels=8, convolutions=2, scale=2)), "Real-ESRGAN compact", "2 times as large"),
        (Span(SpanConfig(channels=8)), "SPAN", "4 times as large"),
    ],
    ids=["rrdb", "compact", "span"],
)
def test_upscalers_are_told(told: Told, network: torch.nn.Module, family: str, detail: str) -> None:
    found = told(shapes(network))
    assert (found.kind, found.what, found.family, found.detail) == ("upscale_models", "upscaler", family, detail)


CONTROL: Shapes = {
    "control_model.zero_convs.0.0.weight": (320, 320, 1, 1),
    "control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
}


@pytest.mark.parametrize(
    ("tensors", "kind", "what", "family"),
    [
        (CONTROL, "controlnet", "ControlNet", "Stable Diffusion 1.x"),
        ({**CONTROL, f"{SD_UNET}input_blocks.0.0.weight": (320, 4, 3, 3)}, "controlnet", "ControlNet",
         "Stable Diffusion 1.x"),
        ({"lora_controlnet": (), "input_blocks.0.0.up": (320, 4)}, "controlnet", "Control-LoRA", None),
        ({"body.0.in_conv.weight": (320, 192, 1, 1)}, "controlnet", "T2I-Adapter", None),
        ({"ip_adapter.1.to_k_ip.weight": (320, 768), "image_proj.proj.weight": (3072, 1024)}, "ipadapter",
         "IP-Adapter", "Stable Diffusion 1.x"),
        ({"model.diffusion_model.joint_blocks.0.context_block.attn.qkv.weight": (4608, 1536),
          "first_stage_model.decoder.conv_in.weight": (512, 16, 3, 3)}, "checkpoints", "checkpoint",
         "Stable Diffusion 3"),
        ({"double_blocks.0.img_attn.qkv.weight": (9216, 3072)}, "diffusion_models", "denoising network", "FLUX.1"),
        ({"position_net.linears.0.weight": (512, 832)}, "gligen", "GLIGEN", None),
        ({"3.conv.0.weight": (64, 64, 3, 3), "1.weight": (64, 4, 3, 3)}, "vae_approx", "tiny autoencoder",
         "Stable Diffusion 1, 2 or XL"),
        ({"quantize.embedding.weight": (8192, 3), "decoder.conv_in.weight": (512, 3, 3, 3),
          "decoder.mid.block_1.conv1.weight": (512, 512, 3, 3)}, "vae", "autoencoder with a codebook", None),
    ],
)  # fmt: skip
def test_other_kinds_are_told(told: Told, tensors: Shapes, kind: str, what: str, family: str | None) -> None:
    found = told(tensors)
    assert (found.kind, found.what, found.family) == (kind, what, family)


def test_what_is_not_known_is_told_with_what_it_holds_and_what_came_nearest(told: Told) -> None:
    found = told({"something.weight": (3, 5)})
    assert (found.kind, found.what, found.loads) == (None, "unknown", False)
    assert found.detail.startswith("it holds something.weight; nearest is ")
    nothing = told({})
    assert (nothing.kind, nothing.what, nothing.precision) == (None, "unknown", "-")


TELLING = [
    *(prefix + key for sign in SIGNS for key in sign.keys for prefix in sign.prefixes),
    *("model.diffusion_model.input_blocks.0.0.weight", "input_blocks.0.0.weight", "x.attn2.to_k.weight", "emb_params"),
    *("conv_in.weight", "down_blocks.0.resnets.0.conv1.weight", "time_embedding.linear_1.weight", "lora_controlnet"),
    *("decoder.conv_in.weight", "decoder.mid.block_1.conv1.weight", "first_stage_model.quantize.embedding.weight"),
    *("0.weight", "1.weight", "3.conv.0.weight", "x.lora_down.weight", "x.lora_up.weight", "x.hada_w1_a", "x.lokr_w1"),
    *(
        "x.lokr_w2_b",
        "x.diff",
        "x.alpha",
        "x.weight",
        "conv_first.weight",
        "body.0.rdb1.conv5.weight",
        "model.0.weight",
    ),
    *("conv_last.weight", "body.0.weight", "body.1.weight", "body.2.weight", "conv_cat.weight", "upsampler.0.weight"),
    *("block_1.c1_r.sk.weight", "model.diffusion_model.out.2.weight", "cond_stage_model.x", "<word>", "", "a.b.c"),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.dictionaries(st.sampled_from(TELLING), st.lists(st.integers(0, 9) | st.sampled_from([320, 768]), max_size=4)))
def test_whatever_a_header_says_something_is_told(tmp_path: Path, place: Place, tensors: Shapes) -> None:
    path = place(tmp_path / "x.safetensors", tensors)
    found = None
    with suppress(WeightsError):
        found = identify(path, [SD1])
    assert found is None or (found.tensors == len(tensors) and found.what)


def test_a_mixed_precision_is_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"emb_params": torch.ones(2, 768).half(), "ids": torch.arange(3)}, tmp_path / "x.safetensors")
    assert identify(tmp_path / "x.safetensors", [SD1]).precision == "mixed (fp16, i64)"


def test_a_diffusers_folder_is_told_by_its_weights_or_its_index(tmp_path: Path, tiny_models: Path) -> None:
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "FluxPipeline"}))
    found = identify(folder, [SD1])
    assert (found.kind, found.what, found.family) == ("diffusers", "diffusers folder", "FLUX.1")
    assert found.detail == "a FluxPipeline"


def test_damaged_and_pickled_files_are_refused(tmp_path: Path, place: Place) -> None:
    path = place(tmp_path / "x.safetensors", {"emb_params": (3, 768)})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(TruncatedFileError):
        identify(path)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(PickledFileError):
        identify(path)

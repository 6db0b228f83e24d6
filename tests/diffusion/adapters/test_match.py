"""Names of layers in all the styles of files, and what is told where an adapter does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.adapters.match import AdapterMismatchError, family_of, match
from nodegraph.diffusion.adapters.read import AdapterError, read_adapter
from nodegraph.diffusion.weights.errors import PickledFileError, TruncatedFileError

Write = Callable[..., Path]
Shapes = dict[str, dict[str, tuple[int, ...]]]

ATTENTION = "input_blocks.1.1.transformer_blocks.0.attn1"
DIFFUSERS = "down_blocks.0.attentions.0.transformer_blocks.0.attn1"
TEXT = "text_model.encoder.layers.1"


def pair(layer: str, up: str, down: str, out: int = 16, width: int = 16) -> dict[str, Tensor]:
    return {f"{layer}{up}": torch.ones(out, 2), f"{layer}{down}": torch.ones(2, width)}


def kohya(layer: str, out: int = 16, width: int = 16) -> dict[str, Tensor]:
    return pair(layer, ".lora_up.weight", ".lora_down.weight", out, width)


STYLES = [
    ("lora_unet_" + DIFFUSERS.replace(".", "_") + "_to_q", ".lora_up.weight", ".lora_down.weight"),
    ("lora_unet_" + ATTENTION.replace(".", "_") + "_to_q", ".lora_up.weight", ".lora_down.weight"),
    ("lycoris_" + DIFFUSERS.replace(".", "_") + "_to_q", ".lora_up.weight", ".lora_down.weight"),
    (f"unet.{DIFFUSERS}.processor.to_q", "_lora.up.weight", "_lora.down.weight"),
    (f"{DIFFUSERS}.processor.to_q", "_lora.up.weight", "_lora.down.weight"),
    (f"unet.{DIFFUSERS}.to_q", ".lora.up.weight", ".lora.down.weight"),
    (f"unet.{DIFFUSERS}.to_q", ".lora_B.weight", ".lora_A.weight"),
    (f"base_model.model.{DIFFUSERS}.to_q", ".lora_B.default.weight", ".lora_A.default.weight"),
    (f"unet.base_model.model.{DIFFUSERS}.to_q", ".lora_B.weight", ".lora_A.weight"),
    (f"diffusion_model.{ATTENTION}.to_q", ".lora_B.weight", ".lora_A.weight"),
    (f"diffusion_model.{ATTENTION}.to_q", ".lora_up.weight", ".lora_down.weight"),
]


@pytest.mark.parametrize(("layer", "up", "down"), STYLES)
def test_each_style_names_the_same_layer(write: Write, shapes: Shapes, layer: str, up: str, down: str) -> None:
    matched = match(read_adapter(write(pair(layer, up, down))), shapes).checked()
    assert list(matched.entries["unet"]) == [f"{ATTENTION}.to_q.weight"]
    assert sorted(matched.fitted) == sorted([layer + up, layer + down])
    assert (matched.unfitted, matched.elsewhere) == ({}, ())


@pytest.mark.parametrize(
    ("layer", "up", "down"),
    [
        (f"lora_te_{TEXT.replace('.', '_')}_self_attn_q_proj", ".lora_up.weight", ".lora_down.weight"),
        (f"lora_te1_{TEXT.replace('.', '_')}_self_attn_q_proj", ".lora_up.weight", ".lora_down.weight"),
        (f"text_encoder.{TEXT}.self_attn.q_proj", ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
        (f"text_encoder.{TEXT}.self_attn.to_q", "_lora.up.weight", "_lora.down.weight"),
        (f"text_encoder.{TEXT}.self_attn.q_proj", ".lora_B.weight", ".lora_A.weight"),
        ("text_encoder.encoder.layers.1.self_attn.q_proj", ".lora_B.weight", ".lora_A.weight"),
        (f"text_encoders.clip_l.transformer.{TEXT}.self_attn.q_proj", ".lora_up.weight", ".lora_down.weight"),
    ],
)
def test_text_encoders_in_each_style(write: Write, shapes: Shapes, layer: str, up: str, down: str) -> None:
    adapter = read_adapter(write(pair(layer, up, down, 24, 24)))
    assert list(match(adapter, shapes).entries["clip"]) == [f"{TEXT}.self_attn.q_proj.weight"]
    alone = match(adapter, {"unet": shapes["unet"]}).checked()
    assert (alone.elsewhere, alone.unfitted, alone.layers) == ((layer,), {}, 0)


def test_rotations_by_kohyas_names_and_biases_by_pefts(write: Write, shapes: Shapes) -> None:
    rotation = f"oft_unet_{DIFFUSERS.replace('.', '_')}_to_q"
    layer = f"unet.{DIFFUSERS}.to_out.0"
    tensors = {f"{rotation}.oft_blocks": torch.zeros(4, 4, 4), f"{rotation}.alpha": torch.tensor(0.1)}
    tensors |= {**pair(layer, ".lora_B.weight", ".lora_A.weight"), f"{layer}.lora_B.bias": torch.ones(16)}
    matched = match(read_adapter(write(tensors)), shapes).checked()
    assert matched.unfitted == {}
    assert set(matched.entries["unet"]) == {
        f"{ATTENTION}.{name}" for name in ("to_q.weight", "to_out.0.weight", "to_out.0.bias")
    }
    bias = matched.entries["unet"][f"{ATTENTION}.to_out.0.bias"]
    assert torch.equal(bias.apply(torch.zeros(16), 0.5), torch.full((16,), 0.5))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("conv_in", "input_blocks.0.0"),
        ("down_blocks_0_downsamplers_0_conv", "input_blocks.3.0.op"),
        ("down_blocks_1_resnets_0_conv_shortcut", "input_blocks.4.0.skip_connection"),
        ("down_blocks_1_resnets_1_conv2", "input_blocks.5.0.out_layers.3"),
        ("mid_block_resnets_1_time_emb_proj", "middle_block.2.emb_layers.1"),
        ("up_blocks_0_upsamplers_0_conv", "output_blocks.2.1.conv"),
        ("up_blocks_1_attentions_2_proj_out", "output_blocks.5.1.proj_out"),
        ("time_embedding_linear_2", "time_embed.2"),
        (
            "up_blocks_1_attentions_0_transformer_blocks_0_attn2_to_out_0",
            "output_blocks.3.1.transformer_blocks.0.attn2.to_out.0",
        ),
        ("conv_out", "out.2"),
    ],
)
def test_layers_all_over_the_network(write: Write, shapes: Shapes, theirs: str, ours: str) -> None:
    out, *rest = shapes["unet"][f"{ours}.weight"]
    up, down = torch.ones(out, 2, *(1,) * (len(rest) - 1)), torch.ones(2, *rest)
    path = write({f"lora_unet_{theirs}.lora_up.weight": up, f"lora_unet_{theirs}.lora_down.weight": down})
    assert list(match(read_adapter(path), shapes).checked().entries["unet"]) == [f"{ours}.weight"]


def test_a_lora_of_another_family_tells_which_and_how_much_fits(write: Write, shapes: Shapes) -> None:
    layer = "lora_unet_output_blocks_2_1_transformer_blocks_7_attn2_to_k"
    adapter = read_adapter(write(kohya(layer, 1280, 2048)))
    with pytest.raises(AdapterMismatchError, match="0 of its 1 layers fit this model; it was made for SDXL") as caught:
        match(adapter, shapes).checked()
    assert caught.value.family == "SDXL"
    near = {**kohya(f"unet.{DIFFUSERS}.to_q"), **kohya(f"unet.{DIFFUSERS}.to_v", 16, 24)}
    matched = match(read_adapter(write(near)), shapes).checked()
    assert matched.layers == 1
    assert "1 of its 2 layers fit" in matched.summary
    assert matched.unfitted == {
        f"unet.{DIFFUSERS}.to_v": f"is for [16, 24], {ATTENTION}.to_v.weight is [16, 16]",
    }


@pytest.mark.parametrize(
    ("layer", "out", "width", "family"),
    [
        ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k", 320, 768, "Stable Diffusion 1.x"),
        (f"unet.{DIFFUSERS.replace('attn1', 'attn2')}.to_v", 320, 1024, "Stable Diffusion 2.x"),
        ("lora_te2_text_model_encoder_layers_0_mlp_fc1", 5120, 1280, "SDXL"),
        ("lora_te_text_model_encoder_layers_0_self_attn_q_proj", 768, 768, "Stable Diffusion 1.x"),
        ("lora_unet_double_blocks_0_img_attn_qkv", 9216, 3072, "FLUX.1"),
        ("transformer.single_transformer_blocks.3.attn.to_q", 3072, 3072, "FLUX.1"),
        ("transformer.transformer_blocks.3.attn.add_q_proj", 1536, 1536, "Stable Diffusion 3"),
        ("lora_unet_something_else", 8, 8, None),
    ],
)
def test_the_family_is_told_by_names_and_sizes(
    write: Write, layer: str, out: int, width: int, family: str | None
) -> None:
    assert family_of(read_adapter(write(kohya(layer, out, width)))) == family


def test_kinds_metadata_and_what_is_left_over_are_told(write: Write) -> None:
    tensors = {
        **kohya("lora_unet_a"),
        **{
            "lora_unet_b.lora_up.weight": torch.ones(4, 2, 1, 1),
            "lora_unet_b.lora_down.weight": torch.ones(2, 4, 3, 3),
        },
        **{"lora_unet_c.diff": torch.ones(4, 4), "lora_unet_d.w_norm": torch.ones(4)},
        **{"something.weight": torch.ones(3), "position_ids": torch.ones(3, dtype=torch.int64)},
        "bundle_emb.cat.string_to_param.*": torch.ones(3, 24),
    }
    adapter = read_adapter(write(tensors, {"ss_network_dim": "2"}))
    assert adapter.kinds == {"lora": 1, "locon": 1, "full": 1, "norm": 1}
    assert sorted(adapter.unknown) == ["position_ids", "something.weight"]
    assert adapter.metadata == {"ss_network_dim": "2"}
    assert adapter.embeddings["cat"][24].shape == (3, 24)


def test_what_is_no_adapter_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"no adapter: none of its 1 tensors.*model\.weight"):
        read_adapter(write({"model.weight": torch.ones(2)}))
    cases = {
        "has one of its two factors alone": {"a.lora_up.weight": torch.ones(2, 2)},
        "its factors .* do not multiply": {
            "a.lora_up.weight": torch.ones(2, 2),
            "a.lora_down.weight": torch.ones(3, 2),
        },
        "its alpha is nan": {**kohya("a"), "a.alpha": torch.tensor(float("nan"))},
        r"its alpha is \[2\]": {**kohya("a"), "a.alpha": torch.ones(2)},
        "neither whole nor a pair": {"a.lokr_w1": torch.ones(2, 2)},
        r"OFT's blocks are \[2, 3\]": {"a.oft_blocks": torch.ones(2, 3)},
        "a factor is": {"a.lora_up.weight": torch.ones(2), "a.lora_down.weight": torch.ones(2)},
        "beside a change of kind oft": {"a.oft_blocks": torch.ones(1, 2, 2), "a.dora_scale": torch.ones(2, 1)},
    }
    for message, tensors in cases.items():
        with pytest.raises(AdapterError, match=rf"layer 'a': .*{message}"):
            read_adapter(write(tensors))
    pickled = tmp_path / "a.pt"
    pickled.write_bytes(b"PK\x03\x04" + bytes(64))
    with pytest.raises(PickledFileError):
        read_adapter(pickled)
    cut = write(kohya("a"))
    cut.write_bytes(cut.read_bytes()[:-8])
    with pytest.raises(TruncatedFileError):
        read_adapter(cut)


def test_alpha_beside_a_peft_file_is_read_from_what_diffusers_tells(write: Write) -> None:
    tensors = pair(f"unet.{DIFFUSERS}.to_q", ".lora_B.weight", ".lora_A.weight")
    for told, expected in (
        ('{"unet.lora_alpha": 8}', 4.0),
        (f'{{"unet.lora_alpha": 8, "unet.alpha_pattern": {{"{DIFFUSERS}.to_q": 1}}}}', 0.5),
        ('{"unet.lora_alpha": 8, "unet.use_rslora": true}', 8 / 2**0.5),
        ("not JSON", 1.0),
    ):
        (layer,) = read_adapter(write(tensors, {"lora_adapter_metadata": told})).layers
        added = layer.deltas["weight"].apply(torch.zeros(16, 16), 1.0)
        torch.testing.assert_close(added, torch.full((16, 16), 2 * expected))

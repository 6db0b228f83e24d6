"""Shares a block: 25 weights, presets, prefixes."""

from __future__ import annotations

import pytest

from nodegraph.diffusion.merging.blocks import PRESETS, Even, PerPrefix, mbw

IN = [f"input_blocks.{n}.0.weight" for n in range(12)]
OUT = [f"output_blocks.{n}.0.weight" for n in range(12)]


def test_25_weights_go_from_the_first_block_to_the_last() -> None:
    share = mbw([float(n) for n in range(25)], base=-1.0)
    names = [*IN, "middle_block.1.proj_in.weight", *OUT]
    assert [share.of("unet", name) for name in names] == list(range(25))
    assert share.of("unet", "time_embed.0.weight") == 0
    assert share.of("unet", "out.2.weight") == 24
    assert share.of("clip", "text_model.final_layer_norm.weight") == -1
    assert mbw([0.5] * 25).of("clip", "x") == 0
    assert mbw([9.0, *[0.5] * 25]).of("clip", "x") == 9
    xl = mbw(",".join(map(str, range(19))))
    assert (xl.of("unet", OUT[8]), xl.of("unet", "out.2.weight"), xl.of("unet", "label_emb.0.0.weight")) == (18, 18, 0)


def test_the_presets_are_those_that_people_know() -> None:
    assert PRESETS["GRAD_V"][:3] == pytest.approx([1, 0.9166666667, 0.8333333333])
    assert PRESETS["GRAD_A"][11:14] == pytest.approx([0.9166666667, 1, 0.9166666667])
    assert PRESETS["WRAP08"] == (*[1] * 4, *[0] * 17, *[1] * 4)
    assert PRESETS["WRAP14"] == (*[1] * 7, *[0] * 11, *[1] * 7)
    assert PRESETS["RING08_SOFT"] == (*[0] * 5, 0.5, 1, 1, 1, 0.5, *[0] * 5, 0.5, 1, 1, 1, 0.5, *[0] * 5)
    assert PRESETS["RING08_5"] == (*[0] * 6, *[1] * 4, *[0] * 5, *[1] * 4, *[0] * 6)
    assert PRESETS["RING10_5"] == (*[0] * 5, *[1] * 5, *[0] * 5, *[1] * 5, *[0] * 5)
    assert PRESETS["RING10_3"] == (*[0] * 6, *[1] * 5, *[0] * 3, *[1] * 5, *[0] * 6)
    known = {
        "SMOOTHSTEP": (1, 0.00506365740740741),
        "REVERSE-SMOOTHSTEP": (1, 0.994936342592593),
        "SMOOTHSTEP*2": (11, 0.875289351851852),
        "R_SMOOTHSTEP*2": (22, 0.960648148148149),
        "SMOOTHSTEP*3": (15, 0.0507812500000004),
        "R_SMOOTHSTEP*3": (10, 0.128472222222222),
        "SMOOTHSTEP*4": (9, 0.734375),
        "SMOOTHSTEP/2": (3, 0.15625),
        "R_SMOOTHSTEP/3": (1, 0.95703125),
        "SMOOTHSTEP/4": (8, 0.740740740740741),
        "COSINE": (1, 0.995722430686905),
        "REVERSE_COSINE": (23, 0.995722430686905),
        "TRUE_CUBIC_HERMITE": (1, 0.199031876929012),
        "TRUE_REVERSE_CUBIC_HERMITE": (23, 0.157365210262345),
        "FAKE_CUBIC_HERMITE": (6, 0.546875),
        "FAKE_REVERSE_CUBIC_HERMITE": (1, 0.842423804012346),
    }
    for name, (place, value) in known.items():
        assert PRESETS[name][place] == pytest.approx(value), name
    assert {len(values) for name, values in PRESETS.items() if name != "ALL_B"} == {25}
    assert mbw("all_b").of("clip", "x") == 1
    assert mbw("GRAD_V").of("clip", "x") == 0
    assert mbw("GRAD_V", base=0.5).of("clip", "x") == 0.5


def test_the_longest_prefix_counts_and_the_first_where_none_fits() -> None:
    blocks = PerPrefix((("input", 0.1), ("middle", 0.2), ("out", 0.3)))
    assert [blocks.of("unet", name) for name in (IN[3], "middle_block.0.x", OUT[3], "out.2.weight")] == [
        0.1,
        0.2,
        0.3,
        0.3,
    ]
    assert blocks.of("unet", "time_embed.0.weight") == 0.1
    single = PerPrefix((("time_embed.", 0.0), ("input_blocks.1.", 0.1), ("input_blocks.11.", 0.2), ("out.", 0.3)))
    assert [single.of("unet", name) for name in (IN[1], IN[11], "out.2.bias", OUT[1])] == [0.1, 0.2, 0.3, 0.0]
    assert Even(0.4).of("unet", "anything") == 0.4


@pytest.mark.parametrize("given", ["GRAD_X", "1,2", [0.5] * 24, [float("nan")] * 25])
def test_other_weights_are_refused(given: str | list[float]) -> None:
    with pytest.raises(ValueError, match="block weights"):
        mbw(given)

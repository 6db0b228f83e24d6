"""Files that make no sense are refused with words, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import AdapterError, read_adapter

ROLES = [
    *("lora_up.weight", "lora_down.weight", "lora_mid.weight", "alpha", "dora_scale", "scalar", "diff", "diff_b"),
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2", "oft_blocks", "rescale", "w_norm"),
    *("lokr_w1", "lokr_w2", "lokr_w1_a", "lokr_w1_b", "lokr_w2_a", "lokr_w2_b", "lokr_t2", "weight", "on_input"),
    *("a1.weight", "a2.weight", "b1.weight", "b2.weight", "set_weight", "b_norm", "lora_magnitude_vector"),
]
SIZES = st.lists(st.sampled_from([1, 4, 8]), max_size=4).map(tuple)
GROUPS = st.sampled_from(
    [
        ["lora_up.weight", "lora_down.weight", "lora_mid.weight", "dora_scale"],
        ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"],
        ["lokr_w1", "lokr_w2_a", "lokr_w2_b", "lokr_t2"],
        ["lokr_w1_a", "lokr_w1_b", "lokr_w2"],
        ["a1.weight", "a2.weight", "b1.weight", "b2.weight"],
        ["oft_blocks", "rescale"],
        ["weight", "on_input"],
    ]
)
FILES = st.one_of(
    st.dictionaries(st.sampled_from(ROLES), SIZES, min_size=1, max_size=8),
    GROUPS.flatmap(lambda roles: st.fixed_dictionaries(dict.fromkeys(roles, SIZES))),
)
SHAPES = {
    "unet": {"input_blocks.0.0.weight": (8, 4, 3, 3), "a.weight": (8, 4), "a.bias": (8,), "b.weight": (4, 4, 1, 1)}
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES, st.sampled_from(["a", "b"]))
def test_any_tensors_are_an_adapter_or_refused(tmp_path: Path, sizes: dict[str, tuple[int, ...]], layer: str) -> None:
    tensors = {f"lora_unet_{layer}.{role}": torch.rand(size) for role, size in sizes.items()}
    save_file(tensors, tmp_path / "a.safetensors")
    try:
        matched = match(read_adapter(tmp_path / "a.safetensors"), SHAPES).checked()
    except AdapterError:
        return
    for name, delta in matched.entries["unet"].items():
        weight = torch.rand(SHAPES["unet"][name])
        changed = delta.apply(weight, 0.5)
        assert changed.shape == weight.shape
        if (factors := delta.factors(0.5)) is not None:
            up, down = (factor.flatten(1) for factor in factors)
            torch.testing.assert_close(weight + (up @ down).reshape(weight.shape), changed)

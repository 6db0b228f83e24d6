"""Names of tensors in adapter files, taken apart into the layer that they change and their role there."""

from __future__ import annotations

import re
from dataclasses import dataclass

ADAPTER = r"(?:\.[A-Za-z0-9_-]+)?"
"""The name that peft gives an adapter, `default` if none is chosen."""

ROLES: tuple[tuple[str, str], ...] = (
    # role, how a name ends; the first that fits counts
    ("up", r"\.lora_up\.weight|\.lora\.up\.weight|\.lora_linear_layer\.up\.weight|\.lora_conv_layer\.up\.weight"),
    (
        "down",
        r"\.lora_down\.weight|\.lora\.down\.weight|\.lora_linear_layer\.down\.weight|\.lora_conv_layer\.down\.weight",
    ),
    ("up", rf"\.lora_B{ADAPTER}\.weight|\.lora_B"),
    ("down", rf"\.lora_A{ADAPTER}\.weight|\.lora_A"),
    ("up_bias", rf"\.lora_up\.bias|\.lora_B{ADAPTER}\.bias"),
    ("mid", r"\.lora_mid\.weight"),
    ("alpha", r"\.alpha"),
    ("scalar", r"\.scalar"),
    ("magnitude", rf"\.dora_scale|\.lora_magnitude_vector(?:{ADAPTER}\.weight)?|\.lora_magnitude_vector\.[a-z]+"),
    *((role, rf"\.hada_{role}") for role in ("w1_a", "w1_b", "w2_a", "w2_b")),
    ("hada_t1", r"\.hada_t1"),
    ("hada_t2", r"\.hada_t2"),
    *((f"lokr_{role}", rf"\.lokr_{role}") for role in ("w1_a", "w1_b", "w2_a", "w2_b", "w1", "w2", "t2")),
    ("oft", r"\.oft_blocks|\.oft_diag"),
    ("rescale", r"\.rescale"),
    *((f"glora_{role}", rf"\.{role}\.weight") for role in ("a1", "a2", "b1", "b2")),
    ("diff_b", r"\.diff_b"),
    ("diff", r"\.diff"),
    ("norm", r"\.w_norm"),
    ("norm_b", r"\.b_norm"),
    ("on_input", r"\.on_input"),
    ("set", r"\.set_weight"),
    ("scales", r"\.weight"),
)
"""What a tensor is to its layer; `scales` are IA3's, whose plain name counts only beside an `on_input`."""

_ROLES = tuple((role, re.compile(rf"(?P<layer>.+?)(?:{ending})\Z")) for role, ending in ROLES)

_PROCESSOR = re.compile(r"(?P<layer>.+?)(?:\.processor)?\.(?P<part>to_[qkv]|to_out)_lora\.(?P<role>up|down)\.weight\Z")
"""diffusers before 0.22: the layers of an attention that a processor holds, `..attn1.processor.to_q_lora.up.weight`."""


@dataclass(frozen=True)
class Role:
    """A tensor's layer, as the file calls it, and what the tensor is there."""

    layer: str
    role: str


def role_of(name: str) -> Role | None:
    """Return a stored tensor's role, None where no adapter has a tensor of that name."""
    if found := _PROCESSOR.match(name):
        return Role(f"{found['layer']}.{found['part']}", found["role"])
    for role, pattern in _ROLES:
        if found := pattern.match(name):
            return Role(found["layer"], role)
    return None

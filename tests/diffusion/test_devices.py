"""Default devices and precisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph.diffusion.devices import cpu_flags, cpu_has_bf16, default_device, default_dtype, parse_dtype


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fp32", torch.float32), ("float32", torch.float32), ("fp16", torch.float16), (" BF16 ", torch.bfloat16)],
)
def test_precisions_are_known_by_their_names(name: str, dtype: torch.dtype) -> None:
    assert parse_dtype(name) == dtype


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown precision 'int8': expected fp32, fp16 or bf16"):
        parse_dtype("int8")


def test_the_processor_runs_bf16_where_it_is_native() -> None:
    flags = cpu_flags()
    assert default_dtype("cpu") == (torch.bfloat16 if cpu_has_bf16() else torch.float32)
    if {"avx512_bf16", "amx_bf16"} & flags:
        assert cpu_has_bf16()


def test_other_devices_have_their_precision() -> None:
    assert default_dtype("mps") == torch.float16
    assert default_dtype("meta") == torch.float32


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_preferred_and_runs_bf16_from_ampere_on() -> None:
    assert default_device().type == "cuda"
    major, _ = torch.cuda.get_device_capability()
    assert default_dtype("cuda") == (torch.bfloat16 if major >= 8 else torch.float16)


def test_a_processor_lists_its_features(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert cpu_flags(cpuinfo) == {"fpu", "amx_bf16"}
    cpuinfo.write_text("Features\t: fp asimd bf16\n")
    assert cpu_flags(cpuinfo) == {"fp", "asimd", "bf16"}
    assert cpu_flags(tmp_path / "none") == frozenset()

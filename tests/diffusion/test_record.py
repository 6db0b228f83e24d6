"""What the record of a picture tells of versions, extensions and the device."""

from __future__ import annotations

import platform
from importlib.metadata import version

import pytest
import torch

from nodegraph.diffusion.record import extensions, library_versions, placement
from nodegraph.diffusion.registry import BUILT_IN, Sampler, Scheduler, activate


def test_python_and_the_libraries_are_told_by_their_versions() -> None:
    told = library_versions()
    assert told["python"] == platform.python_version()
    assert told["torch"] == torch.__version__
    assert set(told) == {"python", "torch", "numpy", "safetensors", "pillow"}


def test_samplers_and_schedulers_of_plugins_are_told_with_their_plugins() -> None:
    drift, even = [Sampler("drift", "soft:drift")], [Scheduler("even", "soft:even")]
    mine = BUILT_IN.extended("soft", samplers=drift, schedulers=even)
    activate(mine.extended("good", samplers=[Sampler("middle", "good:middle")]))
    told = extensions({"euler", "karras", "drift", "even", "middle", "a cat"})
    assert told == {
        "sampler drift": "soft",
        "scheduler even": "soft",
        "sampler middle": f"good {version('nodegraph-good')}",
    }
    assert extensions({"euler"}) == {}


def test_the_processor_is_told_with_its_instructions() -> None:
    told = placement("cpu", "bf16")
    assert (told["device"], told["dtype"]) == ("cpu", "bfloat16")
    assert told["device_name"] == f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


@pytest.mark.parametrize(("device", "dtype"), [("abacus", None), ("cpu", "fp7")])
def test_what_is_not_there_is_refused(device: str, dtype: str | None) -> None:
    with pytest.raises(ValueError, match=device if dtype is None else dtype):
        placement(device, dtype)

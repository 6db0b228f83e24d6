"""The values on wires: what they refuse, how they show themselves."""

import math
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from nodegraph.diffusion.values import (
    Area,
    Conditioning,
    ConditioningEntry,
    DiffusionSchedule,
    EdmSchedule,
    FlowSchedule,
    Image,
    Latent,
    Mask,
    Model,
    Placed,
)


def test_values_and_registry_import_without_torch() -> None:
    code = "import sys, nodegraph.diffusion.values, nodegraph.diffusion.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8, 2)])
def test_image_refuses_what_is_not_a_batch_of_pictures(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"Image\.pixels: got"):
        Image(torch.zeros(shape))


def test_image_and_mask_refuse_other_precisions() -> None:
    with pytest.raises(TypeError, match=r"Image\.pixels: got torch.uint8"):
        Image(torch.zeros(1, 8, 8, 3, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"Mask\.values: got torch.float16"):
        Mask(torch.zeros(1, 8, 8, dtype=torch.float16))


def test_latent_refuses_an_index_that_does_not_fit_its_batch() -> None:
    assert Latent(torch.zeros(2, 4, 8, 8), batch_index=(3, 0)).batch_index == (3, 0)
    for index in [(0,), (0, -1)]:
        with pytest.raises(ValueError, match="expected 2 indices"):
            Latent(torch.zeros(2, 4, 8, 8), batch_index=index)
    with pytest.raises(ValueError, match=r"noise_mask: got shape \(1, 1, 8, 8\)"):
        Latent(torch.zeros(2, 4, 8, 8), noise_mask=torch.zeros(1, 1, 8, 8))


def test_area_refuses_an_empty_rectangle() -> None:
    with pytest.raises(ValueError, match="expected a corner"):
        Area(0, 0, 0, 8)


def test_changed_replaces_a_field_in_each_entry() -> None:
    entry = ConditioningEntry(torch.zeros(1, 77, 8))
    both = Conditioning((entry, entry)).changed(start=0.25)
    assert [e.start for e in both.entries] == [0.25, 0.25]
    assert entry.start == 0.0


def test_values_show_shapes_instead_of_numbers() -> None:
    text = repr(Conditioning((ConditioningEntry(torch.zeros(1, 77, 8), extras={"a": torch.zeros(2)}),)))
    assert "entries=(ConditioningEntry(embedding=float32 (1, 77, 8)" in text
    assert "extras={'a': float32 (2,)}" in text
    assert "module=Linear" in repr(Placed(torch.nn.Linear(2, 2)))


def test_a_network_runs_where_and_as_its_weights_are() -> None:
    placed = Placed(torch.nn.Linear(2, 2, device="meta", dtype=torch.bfloat16))
    assert (placed.device, placed.dtype) == (torch.device("meta"), torch.bfloat16)
    without_weights = Placed(torch.nn.Identity())
    assert (without_weights.device, without_weights.dtype) == (torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        (DiffusionSchedule, {"steps": 0}),
        (DiffusionSchedule, {"steps": 1, "zero_terminal_snr": True}),
        (DiffusionSchedule, {"beta_start": 0.02}),
        (DiffusionSchedule, {"beta_end": math.nan}),
        (FlowSchedule, {"steps": 100_001}),
        (FlowSchedule, {"multiplier": -1.0}),
        (FlowSchedule, {"shift": math.inf}),
        (EdmSchedule, {"sigma_max": 0.001}),
    ],
)
def test_schedules_refuse_levels_that_no_network_was_trained_at(
    schedule: Callable[..., object], settings: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"Schedule\(.*: expected"):
        schedule(**settings)


def test_model_refuses_a_schedule_of_another_kind() -> None:
    network = Placed(torch.nn.Identity())
    assert Model(network, "flow", FlowSchedule()).prediction == "flow"
    with pytest.raises(ValueError, match="does not go with"):
        Model(network, "eps", FlowSchedule())
    with pytest.raises(ValueError, match="does not go with"):
        Model(network, "flow", DiffusionSchedule())

"""Tables of noise levels against the figures of the released models."""

import math

import pytest
import torch

from nodegraph.diffusion.sampling.tables import BEYOND_ALL_NOISE, alphas_cumprod, betas, table_of
from nodegraph.diffusion.values import DiffusionSchedule, EdmSchedule, FlowSchedule

SD = DiffusionSchedule()


@pytest.mark.parametrize(
    ("schedule", "smallest", "largest"),
    [
        (SD, 0.0291672, 14.6146412),
        (DiffusionSchedule("scaled_linear", 0.0015, 0.0195), 0.0387589, 83.8225),
        (DiffusionSchedule("linear", 1e-4, 0.02), 0.0100005, 157.407),
        (DiffusionSchedule("linear"), 0.0291672, 25.1461),
        (DiffusionSchedule("squaredcos_cap_v2"), 0.0064254, 20291.17),
        (DiffusionSchedule(zero_terminal_snr=True), 0.0291672, 4518.76),
    ],
)
def test_the_ends_are_those_of_the_released_models(
    schedule: DiffusionSchedule, smallest: float, largest: float
) -> None:
    table = table_of(schedule)
    assert table.sigma_min == pytest.approx(smallest, rel=2e-5)
    assert table.sigma_max == pytest.approx(largest, rel=2e-6)
    assert table.sigmas.dtype == torch.float32
    assert bool((table.sigmas.diff() > 0).all())


def test_an_unknown_beta_schedule_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown beta schedule 'cubic'"):
        betas(DiffusionSchedule("cubic"))  # type: ignore[arg-type]


def test_zero_terminal_snr_keeps_the_first_step() -> None:
    plain, rescaled = alphas_cumprod(SD), alphas_cumprod(DiffusionSchedule(zero_terminal_snr=True))
    assert float(rescaled[0]) == pytest.approx(float(plain[0]), abs=1e-12)
    assert float(rescaled[-1]) == 4.8973451890853435e-08


def test_a_level_between_two_steps_is_their_geometric_mean() -> None:
    table = table_of(SD)
    low, high = table.sigmas[500:502].tolist()
    assert table.sigma(500.5) == pytest.approx(math.sqrt(low * high), rel=1e-6)
    assert (table.sigma(-3), table.sigma(2000)) == pytest.approx((table.sigma_min, table.sigma_max), rel=1e-6)


def test_time_values_are_the_nearest_whole_steps() -> None:
    table = table_of(SD)
    assert table.timestep(table.sigmas).tolist() == list(range(1000))
    low, high = table.sigmas[500:502].tolist()
    assert float(table.timestep(low * (high / low) ** 0.4)) == 500.0
    assert float(table.timestep(low * (high / low) ** 0.6)) == 501.0
    assert table.timestep(torch.tensor([0.0, 1e9])).tolist() == [0.0, 999.0]


def test_shares_of_sampling_become_levels() -> None:
    table = table_of(SD)
    assert table.percent_to_sigma(0.0) == BEYOND_ALL_NOISE == 999999999.9
    assert table.percent_to_sigma(1.0) == 0.0
    assert table.percent_to_sigma(0.5) == pytest.approx(table.sigma(499.5))
    flow = table_of(FlowSchedule(shift=3.0))
    assert [flow.percent_to_sigma(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.75, 0.0])
    edm = table_of(EdmSchedule(0.01, 100.0))
    assert [edm.percent_to_sigma(p) for p in (0.0, 0.5, 1.0)] == pytest.approx([BEYOND_ALL_NOISE, 1.0, 0.0])


def test_a_flow_network_is_told_the_level_times_its_multiplier() -> None:
    assert float(table_of(FlowSchedule(shift=3.0)).timestep(0.25)) == 250.0
    assert table_of(FlowSchedule(multiplier=1.0)).timestep(torch.tensor([0.25])).tolist() == [0.25]


def test_an_edm_network_is_told_a_quarter_of_the_logarithm() -> None:
    table = table_of(EdmSchedule())
    assert float(table.timestep(math.e**2)) == pytest.approx(0.5)
    assert table.sigma(0.5) == pytest.approx(math.e**2)
    assert (table.sigma_min, table.sigma_max) == pytest.approx((0.002, 120.0), rel=1e-5)


def test_a_distilled_network_knows_every_so_many_th_step() -> None:
    whole, table = table_of(SD), table_of(DiffusionSchedule(stride=20))
    assert torch.equal(table.sigmas, whole.sigmas[19::20])
    assert table.timestep(table.sigmas).tolist() == [20.0 * i + 19 for i in range(50)]
    assert table.sigma(torch.tensor([19.0, 999.0])).tolist() == pytest.approx([table.sigma_min, table.sigma_max])
    assert float(table.sigma(5.0)) == pytest.approx(table.sigma_min)
    assert float(table.sigma(49.0)) == pytest.approx(math.sqrt(float(whole.sigmas[39] * whole.sigmas[59])))
    assert table.percent_to_sigma(0.5) == pytest.approx(whole.percent_to_sigma(0.5), rel=2e-3)


@pytest.mark.parametrize("stride", [0, 1001])
def test_a_stride_that_knows_no_step_is_refused(stride: int) -> None:
    with pytest.raises(ValueError, match="expected a stride of 1 to 1000"):
        DiffusionSchedule(stride=stride)


def test_levels_may_be_told_as_angles() -> None:
    table = table_of(EdmSchedule(0.03, 500.0, time="angle"))
    assert float(table.timestep(1.0)) == pytest.approx(0.5)
    levels = torch.tensor([0.03, 0.7, 12.0])
    torch.testing.assert_close(table.sigma(table.timestep(levels)), levels)
    assert torch.equal(table.sigmas, table_of(EdmSchedule(0.03, 500.0)).sigmas)

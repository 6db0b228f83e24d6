"""Networks as denoisers: a perfect network gives the clean sample back whatever it predicts."""

import math

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, FlowPath
from nodegraph.diffusion.sampling.denoiser import NetworkDenoiser, clean_sample, denoiser_of, path_of
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import DiffusionSchedule, FlowSchedule, Model, Placed, Prediction

SD, FLOW = table_of(DiffusionSchedule()), table_of(FlowSchedule(shift=3.0))
CLEAN = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def target(prediction: Prediction, sigma: float, sigma_data: float) -> Tensor:
    """Return what a perfect network answers for `CLEAN` and `NOISE`."""
    alpha = 1 / math.sqrt(1 + sigma**2)  # of the variance-preserving form, in which eps and v are defined
    if prediction == "edm":
        skip = sigma_data**2 / (sigma**2 + sigma_data**2)
        scale = sigma * sigma_data / math.sqrt(sigma**2 + sigma_data**2)
        return (CLEAN - skip * (CLEAN + sigma * NOISE)) / scale
    return {
        "eps": NOISE,
        "v": alpha * NOISE - alpha * sigma * CLEAN,
        "x0": CLEAN,
        "flow": NOISE - CLEAN,
    }[prediction]


@pytest.mark.parametrize("sigma", [0.05, 0.7, 0.99, 14.0])
@pytest.mark.parametrize("prediction", ["eps", "v", "x0", "edm", "flow"])
def test_a_perfect_network_gives_the_clean_sample(prediction: Prediction, sigma: float) -> None:
    if prediction == "flow" and sigma > 1:
        pytest.skip("flow ends at 1")
    path = FlowPath() if prediction == "flow" else VARIANCE_EXPLODING
    sigma_data = 0.5 if prediction == "edm" else 1.0
    seen: list[Tensor] = []

    def network(x: Tensor, timestep: Tensor) -> Tensor:
        seen.append(x)
        return target(prediction, sigma, sigma_data)

    denoise = NetworkDenoiser(network, SD, prediction, sigma_data=sigma_data, dtype=torch.float64)
    x = path.mix(CLEAN, NOISE, sigma)
    levels = torch.full((2,), sigma, dtype=torch.float64)
    torch.testing.assert_close(denoise(x, sigma), CLEAN, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(denoise(x, levels), CLEAN, rtol=1e-9, atol=1e-9)
    scale = 1.0 if prediction == "flow" else math.sqrt(sigma**2 + sigma_data**2)
    torch.testing.assert_close(seen[0], x / scale)


def test_an_unknown_prediction_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown prediction 'score'"):
        clean_sample("score", CLEAN, NOISE, 1.0)  # type: ignore[arg-type]


def test_the_network_is_told_the_nearest_whole_training_step() -> None:
    times: list[Tensor] = []

    def network(x: Tensor, timestep: Tensor) -> Tensor:
        times.append(timestep)
        return x

    denoise = NetworkDenoiser(network, SD)
    x = torch.zeros(2, 4, 8, 8)
    denoise(x, float(SD.sigma(300.4)))
    denoise(x, torch.tensor([SD.sigma(300.4), SD.sigma(7.9)]))
    NetworkDenoiser(network, FLOW, "flow")(x, 0.25)
    assert [time.tolist() for time in times] == [[300, 300], [300, 8], [250, 250]]
    assert all(time.dtype == torch.float32 for time in times)


def test_only_the_network_works_in_low_precision() -> None:
    seen: list[torch.dtype] = []

    def network(x: Tensor, timestep: Tensor) -> Tensor:
        seen.append(x.dtype)
        return torch.zeros_like(x)

    x = torch.randn(1, 4, 8, 8)
    clean = NetworkDenoiser(network, SD, dtype=torch.bfloat16)(x, 3.0)
    assert seen == [torch.bfloat16]
    assert torch.equal(clean, x)


class Scale(nn.Module):
    """Predict its input times a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, timestep: Tensor) -> Tensor:
        return x * self.weight


def test_a_model_runs_in_the_precision_of_its_weights() -> None:
    assert denoiser_of(Model(Placed(Scale())), Scale()).dtype == torch.float32
    assert denoiser_of(Model(Placed(Scale().bfloat16())), Scale()).dtype == torch.bfloat16


def test_the_path_follows_the_prediction() -> None:
    assert path_of(Model(Placed(Scale()))) is VARIANCE_EXPLODING
    path = path_of(Model(Placed(Scale()), "flow", FlowSchedule(shift=3.0)))
    assert isinstance(path, FlowPath)
    assert path.finite(1.0) == pytest.approx(0.99996667, abs=1e-7)
    assert path.finite(0.9) == 0.9


@pytest.mark.parametrize("path", [VARIANCE_EXPLODING, FlowPath()])
def test_paths_invert_their_log_snr(path: FlowPath) -> None:
    for sigma in (0.03, 0.5, 0.95):
        assert path.sigma(path.log_snr(sigma)) == pytest.approx(sigma)
        assert path.log_snr(sigma) == pytest.approx(math.log(path.alpha(sigma) / sigma))
        torch.testing.assert_close(path.mix(CLEAN, NOISE, sigma), path.alpha(sigma) * CLEAN + sigma * NOISE)
    assert path.log_snr(path.middle(0.9, 0.1)) == pytest.approx((path.log_snr(0.9) + path.log_snr(0.1)) / 2)

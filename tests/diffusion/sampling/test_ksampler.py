"""KSampler: which levels a run visits, what it starts from and what comes out."""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nodegraph.diffusion.registry import Sampler, Scheduler, get_sampler, get_scheduler, sampler_names
from nodegraph.diffusion.sampling.contract import Denoiser, Step, Table
from nodegraph.diffusion.sampling.ksampler import noise_levels, sample
from nodegraph.diffusion.sampling.noise import initial_noise
from nodegraph.diffusion.sampling.run import Sampling
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import (
    Conditioning,
    ConditioningEntry,
    DiffusionSchedule,
    FlowSchedule,
    Latent,
    LatentFormat,
    Model,
    Origin,
    Placed,
)

SD = table_of(DiffusionSchedule())
KARRAS = get_scheduler("karras")
EULER = get_sampler("euler")
PROMPT = Conditioning((ConditioningEntry(torch.ones(1, 7, 8)),))
EMPTY = Latent(torch.zeros(1, 4, 8, 8))


class Shrink(nn.Module):
    """Predict noise from x alone, a little of it, so that a run is quick and never trivial."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.9))
        self.calls: list[tuple[torch.dtype, float, int]] = []

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        self.calls.append((x.dtype, float(timestep[0]), len(x)))
        return x * self.weight + 0.01 * context.mean(dim=(1, 2)).reshape(-1, 1, 1, 1)


def run(latent: Latent = EMPTY, model: Model | None = None, **options: Any) -> Sampling:
    settings: dict[str, Any] = {"seed": 1, "steps": 4, "cfg": 2.0, "sampler": "euler", "scheduler": "karras", **options}
    return sample(model or Model(Placed(Shrink())), PROMPT, PROMPT, latent, **settings)


def levels(steps: int = 20, sampler: Sampler = EULER, scheduler: Scheduler = KARRAS, **options: Any) -> list[float]:
    return noise_levels(SD, sampler, scheduler, steps, **options)


def test_a_whole_run_visits_the_scheduler_s_levels() -> None:
    whole = KARRAS.resolve()(SD, 20)
    assert levels() == list(whole) == levels(denoise=0.99991)


@pytest.mark.parametrize(("steps", "denoise", "total"), [(20, 0.5, 40), (20, 0.3, 66), (7, 0.9, 7), (3, 0.01, 300)])
def test_a_share_of_denoising_is_the_end_of_a_longer_schedule(steps: int, denoise: float, total: int) -> None:
    assert levels(steps, denoise=denoise) == list(KARRAS.resolve()(SD, total))[-(steps + 1) :]


def test_no_denoising_visits_no_level() -> None:
    assert levels(denoise=0.0) == []


@pytest.mark.parametrize("name", ["dpm_2", "dpm_2_ancestral"])
def test_some_samplers_leave_the_last_level_but_one_out_before_the_share_is_taken(name: str) -> None:
    whole = list(KARRAS.resolve()(SD, 21))
    assert levels(sampler=get_sampler(name)) == [*whole[:-2], 0.0]
    longer = list(KARRAS.resolve()(SD, 41))
    assert levels(sampler=get_sampler(name), denoise=0.5) == [*longer[:-2], 0.0][-21:]


def test_a_range_of_steps_is_cut_out() -> None:
    whole = levels()
    assert levels(start_step=5) == whole[5:]
    assert levels(last_step=12) == whole[:13]
    assert levels(start_step=5, last_step=12) == whole[5:13]
    assert levels(start_step=5, last_step=12, force_full_denoise=True) == [*whole[5:12], 0.0]
    assert levels(start_step=0, last_step=10000, force_full_denoise=True) == whole
    assert len(levels(start_step=20)) == 1
    assert levels(start_step=21) == []


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "dpmpp_3m_sde"])
def test_more_steps_than_there_are_levels_visit_each_once(sampler: str) -> None:
    sampling = run(scheduler="simple", steps=1500, sampler=sampler, last_step=30)
    assert len({step.sigma for step in sampling}) == sampling.steps == 20
    assert bool(sampling.result().samples.isfinite().all())


@pytest.mark.parametrize("sampler", sampler_names())
def test_a_single_step_ends_in_the_clean_sample(sampler: str) -> None:
    (step,) = run(sampler=sampler, steps=1)
    assert torch.equal(step.x, step.clean)


@pytest.mark.parametrize("bad", [[1.0, 2.0, 0.0], [math.nan, 0.0], [1.0, -1.0]])
def test_levels_that_do_not_descend_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="scheduler 'bad': got the levels"):
        levels(scheduler=Scheduler("bad", lambda table, steps: bad))


def test_a_run_of_no_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="steps: got 0, expected 1 or more"):
        levels(0)


@pytest.mark.parametrize(("steps", "denoise"), [(20, 1e-9), (20, 5e-324), (20_001, 1.0), (1, math.nan)])
def test_a_schedule_too_long_to_compute_is_refused(steps: int, denoise: float) -> None:
    with pytest.raises(ValueError, match=f"steps {steps} at denoise {denoise}: .* more than 20000 steps"):
        levels(steps, denoise=denoise)


@pytest.mark.parametrize("name", ["normal", "sgm_uniform", "karras"])
def test_the_end_of_the_longest_schedule_is_found_quickly(name: str) -> None:
    start = time.process_time()
    end = levels(2, scheduler=get_scheduler(name), denoise=1e-4)
    assert time.process_time() - start < 0.25
    assert 0.0 == end[-1] < end[0] < SD.sigma_max


@pytest.mark.parametrize("options", [{"denoise": 0.0}, {"start_step": 4}, {"start_step": 99}])
def test_a_run_with_nothing_to_do_gives_the_latent_back(options: dict[str, Any]) -> None:
    latent = Latent(torch.randn(1, 4, 8, 8))
    sampling = run(latent, **options)
    assert sampling.steps == 0
    assert list(sampling) == []
    assert sampling.result() is latent


def test_steps_come_one_by_one_and_then_the_result() -> None:
    network = Shrink()
    sampling = run(model=Model(Placed(network)))
    assert network.calls == []
    seen = []
    for step in sampling:
        seen.append(len(network.calls))
        final = step
    assert seen == [1, 2, 3, 4]
    assert sampling.steps == 4
    result = sampling.result()
    assert sampling.result() is result
    torch.testing.assert_close(result.samples, sampling.in_latent_space(final.x))
    assert list(sampling) == []


def test_the_result_runs_the_steps_that_are_left() -> None:
    sampling = run()
    for _ in sampling:
        break
    assert torch.equal(sampling.result().samples, run().result().samples)


def test_a_failure_is_not_taken_for_a_result() -> None:
    def broken(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Iterator[Step]:
        yield Step(x, x, 1.0)
        raise OSError("no more")

    sampling = run(sampler=Sampler("broken", broken))
    with pytest.raises(OSError, match="no more"):
        list(sampling)
    with pytest.raises(RuntimeError, match="failed before its end"):
        sampling.result()


def start_of(latent: Latent, model: Model | None = None, **options: Any) -> Tensor:
    """Return the x that a sampler gets first."""
    got: list[Tensor] = []

    def spy(denoise: Denoiser, x: Tensor, sigmas: Sequence[float]) -> Iterator[Step]:
        got.append(x)
        yield Step(x, x, 0.0)

    run(latent, model, **{**options, "sampler": Sampler("spy", spy)}).result()
    return got[0]


def test_a_whole_run_starts_with_the_variance_of_training() -> None:
    sigma = SD.sigma_max
    expected = initial_noise((1, 4, 8, 8), 1) * math.sqrt(1 + sigma**2)
    torch.testing.assert_close(start_of(EMPTY), expected)


def test_a_part_of_a_run_starts_with_the_latent_and_its_level_of_noise() -> None:
    latent = Latent(torch.randn(1, 4, 8, 8))
    sigma = levels(4, denoise=0.5)[0]
    expected = latent.samples * 0.18215 + initial_noise((1, 4, 8, 8), 1) * sigma
    torch.testing.assert_close(start_of(latent, denoise=0.5), expected)


def test_without_noise_the_latent_is_the_start() -> None:
    latent = Latent(torch.randn(1, 4, 8, 8), origins=(Origin(5, 2),))
    torch.testing.assert_close(start_of(latent, add_noise=False, start_step=1), latent.samples * 0.18215)
    assert run(latent, add_noise=False).result().origins == (Origin(5, 2),)


def test_an_empty_latent_is_not_shifted() -> None:
    """Zeros stand for no picture, not for the latent whose values are zero."""
    model = Model(Placed(Shrink()), latent=LatentFormat(4, 2.0, 0.5))
    torch.testing.assert_close(start_of(EMPTY, model), start_of(EMPTY))
    latent = Latent(torch.ones(1, 4, 8, 8))
    torch.testing.assert_close(start_of(latent, model, add_noise=False), torch.ones(1, 4, 8, 8))
    result = run(latent, model, add_noise=False)
    *_, last = result
    torch.testing.assert_close(result.result().samples, last.x / 2 + 0.5)


def test_an_empty_latent_gets_the_channels_of_the_model() -> None:
    model = Model(Placed(Shrink()), latent=LatentFormat(channels=16))
    assert run(EMPTY, model).result().samples.shape == (1, 16, 8, 8)
    with pytest.raises(ValueError, match="latent: got 4 channels, the model works with 16"):
        run(Latent(torch.ones(1, 4, 8, 8)), model)


def test_embeddings_of_another_family_are_refused() -> None:
    model = Model(Placed(Shrink()), context_dim=768, family="sd1")
    with pytest.raises(ValueError, match="positive: got embeddings 8 wide, the model sd1 takes 768"):
        run(model=model)


def test_flow_models_start_from_pure_noise_and_undo_the_scale_of_an_early_stop() -> None:
    model = Model(Placed(Shrink()), "flow", FlowSchedule(shift=3.0), LatentFormat(4, 1.0))
    latent = Latent(torch.randn(1, 4, 8, 8))
    noise = initial_noise((1, 4, 8, 8), 1)
    torch.testing.assert_close(start_of(latent, model, scheduler="simple"), noise)
    torch.testing.assert_close(
        start_of(latent, model, scheduler="simple", start_step=2), 0.25 * latent.samples + 0.75 * noise
    )
    sampling = run(latent, model, scheduler="simple", last_step=2)
    *_, last = sampling
    assert last.sigma == pytest.approx(0.75)
    torch.testing.assert_close(sampling.result().samples, last.x / 0.25)


def test_two_halves_of_a_run_make_the_whole() -> None:
    whole = run().result().samples
    half = run(last_step=2).result()
    again = run(half, start_step=2, add_noise=False).result()
    torch.testing.assert_close(again.samples, whole)
    assert again.origins == half.origins == (Origin(1, 0),)


def test_a_part_of_a_batch_comes_out_as_in_the_whole() -> None:
    whole = run(Latent(torch.zeros(3, 4, 8, 8))).result()
    part = run(Latent(torch.zeros(2, 4, 8, 8), batch_index=(2, 0))).result()
    torch.testing.assert_close(part.samples, whole.samples[[2, 0]])
    assert whole.origins == (Origin(1, 0), Origin(1, 1), Origin(1, 2))
    assert part.origins == (Origin(1, 2), Origin(1, 0))
    assert part.batch_index == (2, 0)


@pytest.mark.parametrize("sampler", ["euler", "ddim", "euler_ancestral", "dpmpp_2m_sde"])
def test_outside_the_mask_the_latent_stays(sampler: str) -> None:
    samples = torch.randn(2, 4, 8, 8)
    mask = torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1.0
    result = run(Latent(samples, noise_mask=mask), sampler=sampler).result()
    torch.testing.assert_close(result.samples[..., :4], samples[..., :4])
    assert float((result.samples[..., 4:] - samples[..., 4:]).abs().min()) > 0
    assert result.noise_mask is mask


def test_sums_are_in_single_precision_whatever_the_network_runs_in() -> None:
    network = Shrink().bfloat16()
    sampling = run(model=Model(Placed(network)))
    steps = list(sampling)
    assert {dtype for dtype, _, _ in network.calls} == {torch.bfloat16}
    assert {step.x.dtype for step in steps} | {step.clean.dtype for step in steps} == {torch.float32}
    half = Latent(torch.randn(1, 4, 8, 8, dtype=torch.float16))
    assert run(half, denoise=0.5).result().samples.dtype == torch.float32


def test_no_gradients_are_kept() -> None:
    assert not any(step.x.requires_grad for step in run())
    assert torch.is_grad_enabled()


def test_both_prompts_run_in_one_call_and_only_one_at_cfg_one() -> None:
    network = Shrink()
    run(model=Model(Placed(network))).result()
    assert [size for *_, size in network.calls] == [2] * 4
    network.calls.clear()
    run(model=Model(Placed(network)), cfg=1.0).result()
    assert [size for *_, size in network.calls] == [1] * 4


def test_the_seed_feeds_stochastic_samplers_even_without_added_noise() -> None:
    latent = Latent(torch.randn(1, 4, 8, 8))
    for sampler in ("euler_ancestral", "dpmpp_2m_sde"):
        one, same, other = (
            run(latent, add_noise=False, sampler=sampler, seed=seed).result().samples for seed in (1, 1, 2)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, other)


def test_samplers_and_schedulers_may_be_given_as_such() -> None:
    def two(table: Table, steps: int) -> list[float]:
        return [table.sigma_max, 1.0, 0.0]

    steps = list(run(sampler=EULER, scheduler=Scheduler("two", two)))
    assert [step.sigma for step in steps] == [1.0, 0.0]


def test_a_run_does_not_touch_its_inputs() -> None:
    latent = Latent(torch.randn(1, 4, 8, 8), noise_mask=torch.ones(1, 8, 8))
    before = latent.samples.clone()
    run(latent, model=Model(Placed(Shrink()), latent=LatentFormat(scale=1.0)), add_noise=False).result()
    assert torch.equal(latent.samples, before)

"""The optimizer loop learns, stops at any step and goes on bit for bit; several workers act as one."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nodegraph.training.ema import EmaConfig
from nodegraph.training.loop import CHECKPOINT, Draws, Loop, LoopConfig, averaged
from nodegraph.training.workers import run_workers

CONFIG = LoopConfig(steps=12, learning_rate=0.05, warmup=3, decay=4, save_every=5, log_every=4, ema=EmaConfig(0.9))


def make(directory: Path, config: LoopConfig = CONFIG) -> Loop:
    torch.manual_seed(0)
    module = nn.Linear(4, 2)

    def loss(draws: Draws) -> Tensor:
        x = torch.randn(8, 4, generator=draws.torch)
        error: Tensor = module(x) - x[:, :2] * float(draws.numpy.uniform(0.9, 1.1))
        return error.square().mean()

    return Loop(module, loss, config, directory)


def test_rate_warms_up_stays_and_falls_to_almost_nothing() -> None:
    rates = [CONFIG.rate(step) / 0.05 for step in range(12)]
    assert rates == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5])


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    reports = list(make(tmp_path, LoopConfig(steps=100, learning_rate=0.05, log_every=10)).run())
    assert len(reports) == 10
    assert reports[-1].loss < reports[0].loss / 5


def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole")
    list(whole.run())
    killed = make(tmp_path / "killed")
    for _ in range(5):
        killed.advance()
    killed.directory.mkdir()
    killed.save()
    killed.advance()  # lost with the process
    resumed = make(tmp_path / "killed")
    list(resumed.run())
    assert resumed.step == whole.step == 12
    for name, value in whole.module.state_dict().items():
        assert torch.equal(value, resumed.module.state_dict()[name])
        assert torch.equal(whole.ema.shadow[name], averaged(tmp_path / "killed" / CHECKPOINT)[name])


def test_a_run_that_is_done_stays_done(tmp_path: Path) -> None:
    list(make(tmp_path).run())
    assert list(make(tmp_path).run()) == []


def test_no_partial_file_is_left(tmp_path: Path) -> None:
    list(make(tmp_path).run())
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_checkpoint_of_another_module_is_refused(tmp_path: Path) -> None:
    list(make(tmp_path).run())
    other = Loop(nn.Linear(3, 3), lambda draws: torch.zeros(()), CONFIG, tmp_path)
    with pytest.raises(ValueError, match="of another training"):
        other.resume()


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="steps >= 1"):
        LoopConfig(steps=0)


def test_draws_differ_by_step_and_worker_and_repeat() -> None:
    first = [Draws.of(0, step, worker).numpy.random() for step in (0, 1) for worker in (0, 1)]
    again = [Draws.of(0, step, worker).numpy.random() for step in (0, 1) for worker in (0, 1)]
    assert first == again
    assert len(set(first)) == 4


def train_a_little(directory: Path) -> None:
    list(make(directory).run())


def test_two_workers_train_as_one_with_both_batches(tmp_path: Path) -> None:
    run_workers(train_a_little, (tmp_path / "two",), 2)
    torch.manual_seed(0)
    module = nn.Linear(4, 2)

    def loss(draws: Draws) -> Tensor:
        parts = []
        for worker in (0, 1):
            mine = Draws.of(CONFIG.seed, draws.step, worker)
            x = torch.randn(8, 4, generator=mine.torch)
            parts.append((module(x) - x[:, :2] * float(mine.numpy.uniform(0.9, 1.1))).square().mean())
        return torch.stack(parts).mean()

    list(Loop(module, loss, CONFIG, tmp_path / "one").run())
    two, one = averaged(tmp_path / "two" / CHECKPOINT), averaged(tmp_path / "one" / CHECKPOINT)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value)

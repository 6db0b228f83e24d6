"""A sampling that runs out of memory goes on with less: it splits the batch, streams weights, or tells what it did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory, activate
from nodegraph.diffusion.memory.shortage import OutOfMemoryError
from nodegraph.diffusion.memory.stored import Stored
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.values import Conditioning, ConditioningEntry, Latent, Model, Network, Placed
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.store import FileWeights

WIDTH, DEPTH = 64, 8
PROMPT = Conditioning((ConditioningEntry(torch.zeros(1, 77, 8)),))


@dataclass
class Room:
    """What fits: so many samples in a batch, so many bytes of weights."""

    batch: int = 100
    weights: int = 10**9
    batches: list[int] = field(default_factory=list)


class Deep(nn.Module):
    """Layers one after another that run out of memory where there is no room for batch or weights."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self.room = room
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH))

    def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
        there = sum(weight.nbytes for weight in self.parameters() if weight.device.type != "meta")
        if len(x) > self.room.batch or there > self.room.weights:
            raise torch.OutOfMemoryError("there is no room")
        self.room.batches.append(len(x))
        flat = x.flatten(1)
        for layer in self.layers:
            flat = torch.tanh(layer(flat))
        return flat.reshape(x.shape) + context.mean() + timestep.reshape(-1, 1, 1, 1) * 0


@pytest.fixture(autouse=True)
def memory() -> Iterator[Memory]:
    found = Memory()
    before = activate(found)
    yield found
    activate(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_file(Deep(Room()).state_dict(), tmp_path / "deep.safetensors")
    return tmp_path / "deep.safetensors"


def network(file: Path, room: Room) -> Stored[Deep]:
    weights = FileWeights(read_header(file).tensors)
    return Stored(Blueprint(lambda: Deep(room), weights, torch.device("cpu"), torch.float32, "the deep one"))


def sampled(network: Network[Deep], batch: int = 3) -> Tensor:
    latent = Latent(torch.zeros(batch, 4, 4, 4))
    model = Model(network)
    run = sample(model, PROMPT, PROMPT, latent, seed=1, steps=3, cfg=2.0, sampler="euler", scheduler="normal")
    return run.result().samples


@pytest.mark.parametrize(("room", "seen"), [(6, {6}), (4, {3}), (2, {2}), (1, {1})])
def test_a_batch_that_does_not_fit_is_split_and_stays_so(file: Path, memory: Memory, room: int, seen: set[int]) -> None:
    expected = sampled(network(file, Room()))
    memory.free()
    tight = Room(batch=room)
    assert torch.allclose(sampled(network(file, tight)), expected, atol=1e-5)
    assert set(tight.batches) == seen
    assert sum(tight.batches) == 3 * 6, "nothing is computed twice"


def test_weights_that_do_not_fit_beside_the_work_are_streamed(file: Path, memory: Memory) -> None:
    expected = sampled(network(file, Room()))
    whole = sum(weight.nbytes for weight in Deep(Room()).parameters())
    memory.free()
    assert torch.allclose(sampled(network(file, Room(weights=whole * 3 // 5))), expected, atol=1e-5)
    (holding,) = memory.holdings()
    assert holding.bytes <= whole // 2
    assert not holding.lent


def test_what_was_tried_is_told_where_nothing_helps(file: Path) -> None:
    with pytest.raises(OutOfMemoryError) as told:
        sampled(network(file, Room(batch=0)))
    message = str(told.value)
    assert "a step takes more memory than there is on cpu" in message
    for tried in ("let go of other networks", "split the batch into 1 at a time", "streamed weights"):
        assert tried in message
    assert isinstance(told.value.__cause__, torch.OutOfMemoryError)
    with pytest.raises(OutOfMemoryError, match="split the batch"):
        sampled(Placed(Deep(Room(batch=0))))


def test_networks_that_nobody_uses_go_first(file: Path, tmp_path: Path, memory: Memory) -> None:
    room = Room(batch=0)
    with network(file, Room()).lend():
        pass
    assert len(memory.holdings()) == 1
    save_file({name: tensor + 1 for name, tensor in Deep(Room()).state_dict().items()}, tmp_path / "other.safetensors")
    with pytest.raises(OutOfMemoryError):
        sampled(network(tmp_path / "other.safetensors", room))
    assert [holding.title for holding in memory.holdings() if holding.lent] == []
    assert all(holding.bytes < holding.size for holding in memory.holdings()), "the other one was let go"


def test_other_errors_end_the_sampling(file: Path) -> None:
    class Broken(Deep):
        def forward(self, x: Tensor, timestep: Tensor, context: Tensor) -> Tensor:
            raise RuntimeError("a shape is wrong")

    with pytest.raises(RuntimeError, match="a shape is wrong"):
        sampled(Placed(Broken(Room())))

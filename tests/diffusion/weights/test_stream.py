"""Files written tensor by tensor."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.store import FileWeights
from nodegraph.diffusion.weights.stream import Entry, header_size, save_streamed, weights_entries

MEGABYTE = 2**20

MERGE = """
import sys
from pathlib import Path
from nodegraph.diffusion.merging.blocks import Even
from nodegraph.diffusion.merging.methods import WeightedSum
from nodegraph.diffusion.merging.weights import MergedWeights
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.store import FileWeights
from nodegraph.diffusion.weights.stream import save_streamed, weights_entries
import resource, torch

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

one, two, out = map(Path, sys.argv[1:])
torch.lerp(torch.ones(8), torch.ones(8), 0.5)
before = peak()
merged = MergedWeights("unet", WeightedSum(Even(0.5)), [FileWeights(read_header(p).tensors) for p in (one, two)])
with merged.opened() as reader:
    save_streamed(out, weights_entries(merged, reader))
print(peak() - before)
"""


def entry(name: str, tensor: Tensor) -> Entry:
    return Entry(name, tensor.dtype, tuple(tensor.shape), lambda: tensor)


def test_others_read_what_is_written(tmp_path: Path) -> None:
    tensors = {
        "half": torch.randn(3, 5).half(),
        "wide": torch.randn(2, 2, dtype=torch.float64),
        "single": torch.randn(4),
        "brain": torch.randn(2, 3, 1, 1).bfloat16(),
        "eighth": torch.randn(7).to(torch.float8_e4m3fn),
        "number": torch.tensor(3.5),
        "turned": torch.randn(4, 6).t(),
        "nothing": torch.zeros(0, 3),
    }
    path = save_streamed(tmp_path / "a.safetensors", [entry(*item) for item in tensors.items()], {"é": "ü", "a": "b"})
    read = load_file(path)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name].double(), tensor.double())
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"é": "ü", "a": "b"}
    infos = read_header(path).tensors.values()
    assert all(info.offset % torch.empty((), dtype=read[info.name].dtype).itemsize == 0 for info in infos)


def test_tensors_are_made_one_at_a_time_and_cast(tmp_path: Path) -> None:
    made: list[str] = []

    def producer(name: str) -> Entry:
        def produce() -> Tensor:
            made.append(name)
            return torch.full((2 * MEGABYTE,), 1.5)

        return Entry(name, torch.float16, (2 * MEGABYTE,), produce)

    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        assert len(made) == (done + 4 * MEGABYTE - 1) // (4 * MEGABYTE)

    path = save_streamed(tmp_path / "a.safetensors", map(producer, "abc"), tell=tell)
    assert made == ["a", "b", "c"]
    assert told[-1] == (12 * MEGABYTE, 12 * MEGABYTE)
    assert load_file(path)["b"].dtype == torch.float16


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = save_streamed(tmp_path / "a.safetensors", [entry("a", torch.ones(2))])
    before = path.read_bytes()

    def broken() -> Tensor:
        raise RuntimeError("broken")

    wrong = {
        r"b: got the shape \(3,\), expected \(2,\)": Entry("b", torch.float32, (2,), lambda: torch.ones(3)),
        "b is not finite at float16": Entry("b", torch.float16, (2,), lambda: torch.full((2,), 1e6)),
        "b is not finite at float8": Entry("b", torch.float8_e5m2, (2,), lambda: torch.full((2,), torch.inf)),
        "two tensors are named 'a'": entry("a", torch.ones(2)),
    }
    for message, second in wrong.items():
        with pytest.raises(ValueError, match=message):
            save_streamed(path, [entry("a", torch.ones(2)), second])
    with pytest.raises(RuntimeError, match="broken"):
        save_streamed(path, [entry("a", torch.ones(2)), Entry("b", torch.float32, (2,), broken)])
    with pytest.raises(OSError, match=r"a\.safetensors: cannot be written"):
        save_streamed(tmp_path / "none" / "a.safetensors", [])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_metadata_may_be_stamped_once_the_data_are_there(tmp_path: Path) -> None:
    def stamps(stream: BinaryIO, start: int) -> dict[str, str]:
        stream.seek(start)
        return {"sum": f"{sum(stream.read()):04}"}

    entries = [entry("a", torch.ones(2))]
    path = save_streamed(tmp_path / "a.safetensors", entries, {"sum": "0000"}, stamps=stamps)
    data = path.read_bytes()[header_size(entries, {"sum": "0000"}) :]
    assert data == torch.ones(2).numpy().tobytes()
    assert read_header(path).metadata == {"sum": f"{sum(data):04}"}
    with pytest.raises(ValueError, match="another length"):
        save_streamed(path, entries, {"sum": ""}, stamps=stamps)


def test_weights_are_copied_at_another_precision(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(8), "b": torch.randn(2, 3)}
    path = save_streamed(tmp_path / "a.safetensors", [entry(*item) for item in tensors.items()])
    weights = FileWeights(read_header(path).tensors)
    with weights.opened() as reader:
        copy = save_streamed(
            tmp_path / "b.safetensors", weights_entries(weights, reader, torch.bfloat16, lambda name: f"x.{name}")
        )
    assert {name: tensor.dtype for name, tensor in load_file(copy).items()} == {
        "x.a": torch.bfloat16,
        "x.b": torch.bfloat16,
    }


def test_merging_files_takes_the_memory_of_a_few_tensors(tmp_path: Path) -> None:
    entries = [entry(str(number), torch.randn(MEGABYTE).half()) for number in range(64)]  # 128 MB
    for name in ("one", "two"):
        save_streamed(tmp_path / name, entries)
    files = [str(tmp_path / name) for name in ("one", "two", "out")]
    result = subprocess.run([sys.executable, "-c", MERGE, *files], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 40 * MEGABYTE
    assert torch.equal(load_file(tmp_path / "out")["5"], load_file(tmp_path / "one")["5"])

"""Checkpoints that are cut, swapped or give nonsense. Rows 13, 14 and 25 of the fault matrix."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.harness import Server, Servers, sleep, until
from tests.faults.models import LARGE, NAME, drawing, place, place_large, states

if TYPE_CHECKING:
    from torch import Tensor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def models(folder: Path) -> Path:
    return folder / "models"


@pytest.fixture(scope="module")
def source(tiny_models: Path) -> Path:
    return tiny_models / "checkpoints" / "tiny.safetensors"


@pytest.fixture(scope="module")
def server(folder: Path, models: Path, source: Path) -> Iterator[Server]:
    place(models, source)
    servers = Servers(folder)
    yield servers.start("--models", str(models), "--dtype", "bf16")
    servers.end()


def nan_in_the_network(name: str, tensor: Tensor) -> Tensor:
    if name == "model.diffusion_model.out.2.bias":
        tensor[0] = math.nan
    return tensor


def black_pictures(name: str, tensor: Tensor) -> Tensor:
    if name == "first_stage_model.decoder.conv_out.weight":
        tensor.zero_()
    if name == "first_stage_model.decoder.conv_out.bias":
        tensor.fill_(-10.0)
    return tensor


def integers(name: str, tensor: Tensor) -> Tensor:
    import torch

    return tensor.to(torch.int64) if name == "model.diffusion_model.out.2.bias" else tensor


def messages(job: dict[str, Any]) -> dict[str, str]:
    return {node["node"]: node["message"] for node in job["node_states"] if node["message"]}


def test_a_checkpoint_that_was_replaced_is_loaded_anew_and_one_that_was_not_is_kept(
    server: Server, models: Path, source: Path
) -> None:
    assert states(server.ended(server.submit(drawing(seed=11))))["load"] == "finished"
    again = server.ended(server.submit(drawing(seed=12)))
    assert states(again)["load"] == "cached"
    path = place(models, source, lambda _, tensor: tensor * 0.5)
    assert path.stat().st_size == source.stat().st_size
    other = server.ended(server.submit(drawing(seed=12)))
    assert set(states(other).values()) - {"finished"} <= {"cached"}
    assert states(other)["load"] == states(other)["sample"] == "finished"
    sizes = {output["size"] for job in (again, other) for output in job["outputs"]}
    assert len(sizes) == 2, "the picture is another one"


def test_a_picture_that_is_none_is_told_at_each_node(server: Server, models: Path, source: Path) -> None:
    place(models, source, nan_in_the_network)
    job = server.ended(server.submit(drawing()))
    assert job["state"] == "done"
    told = messages(job)
    assert set(told) == {"sample", "decode", "save"}
    assert all("the picture is damaged: " in text and "NaN or infinite" in text for text in told.values())
    again = server.ended(server.submit(drawing()))
    assert states(again)["decode"] == "cached"
    assert messages(again)["save"] == told["save"]
    place(models, source, black_pictures)
    black = messages(server.ended(server.submit(drawing())))
    assert black == dict.fromkeys(("decode", "save"), "the picture is nothing but black")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def zeros(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, 0)
    os.truncate(path, size)


def pickled(path: Path) -> None:
    path.write_bytes(b"\x80\x04" + bytes(1000))


def of_integers(path: Path) -> None:
    place(path.parent.parent, path, integers)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut, "the file ends inside the tensor"),
        (empty, "too few for a safetensors file"),
        (zeros, "not a safetensors file"),
        (pickled, "pickled"),
        (of_integers, "stored as I64, expected floating point"),
    ],
)
def test_a_damaged_checkpoint_is_named_with_what_is_wrong(
    server: Server, models: Path, source: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(place(models, source))
    job = server.ended(server.submit(drawing()))
    assert (job["state"], job["attempts"]) == ("failed", 1)
    failure = job["failure"]
    assert (failure["code"], failure["node"]) == ("node_failed", "load")
    assert NAME in failure["message"]
    assert words in failure["message"]
    assert str(models) not in failure["message"]
    place(models, source)
    assert server.ended(server.submit(drawing()))["state"] == "done"


def test_a_checkpoint_that_is_cut_while_it_is_read_fails_by_its_name(
    server: Server, models: Path, source: Path
) -> None:
    """What the system does to whoever reads a mapped file beyond its end may cost one attempt."""
    place_large(models, source, rows=2**25)
    id = server.submit(drawing(name=LARGE))
    until(
        lambda: any(at["node"] == "words" and at.get("value", 0) > 0 for at in server.job(id)["node_states"]),
        30,
        "load",
    )
    os.truncate(models / "checkpoints" / LARGE, 4096)
    job = server.ended(id)
    assert job["state"] == "failed"
    assert job["attempts"] <= 2
    assert job["failure"]["node"] == "words"
    assert LARGE in job["failure"]["message"], job["failure"]
    assert server.ended(server.submit(sleep(0.01)))["state"] == "done"

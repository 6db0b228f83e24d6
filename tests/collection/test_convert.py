"""Pickled files become safetensors with nothing lost and nothing run; what cannot be converted says why."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from nodegraph.collection import convert as module
from nodegraph.collection.convert import Bounds, ConvertError, convert, target_of
from nodegraph.collection.unpickling import RefusalError, rewrite
from nodegraph.diffusion.adapters.embeddings import read_embedding
from nodegraph.diffusion.weights.header import read_header


def stored(path: Path, document: Any, **options: Any) -> Path:
    torch.save(document, path, **options)
    return path


Written = tuple[dict[str, Tensor], dict[str, str]]


def written(path: Path) -> Written:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def rewritten(source: Path, dtype: str | None = None) -> tuple[dict[str, Tensor], dict[str, str], list[str]]:
    """Do what the process does that reads pickles, in this one; return tensors, metadata and what was left out."""
    target = source.with_suffix(".safetensors")
    try:
        done = rewrite(source, target, dtype)
    except RefusalError:
        target.unlink(missing_ok=True)
        raise
    return *written(target), done["left_out"]


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Canary:
    """Touches a file where it is unpickled the usual way."""

    def __init__(self, path: Path, call: Any = None) -> None:
        self._path, self._call = path, call

    def __reduce__(self) -> Any:
        return self._call or os.system, (f"touch {self._path}",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_checkpoint_comes_through_with_its_notes(tmp_path: Path, zipped: bool) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    weights = OrderedDict(
        {
            "plain": base,
            "turned": base.t(),
            "row": base[1],
            "strided": base[:, ::2],
            "same": base,
            "parameter": torch.nn.Parameter(torch.ones(2, dtype=torch.float16)),
            "ids": torch.arange(5),
            "flags": torch.tensor([True, False]),
            "scalar": torch.tensor(3.5, dtype=torch.bfloat16),
            "none": torch.empty(0, 4),
            "nan": torch.tensor([float("nan"), float("inf")]),
        }
    )
    document = {
        "state_dict": weights,
        "global_step": 875000,
        "epoch": 3,
        "pytorch-lightning_version": "1.4.2",
        "hyper": {},
        "optimizer_states": [{"momentum": torch.ones(3)}],
        "lr_schedulers": [{"last_epoch": 3}],
    }
    source = stored(tmp_path / "model.ckpt", document, _use_new_zipfile_serialization=zipped)
    tensors, metadata, left_out = rewritten(source)
    assert set(tensors) == set(weights)
    for name, tensor in weights.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name].nan_to_num(7.0), tensor.detach().nan_to_num(7.0))
    assert metadata == {"global_step": "875000", "epoch": "3", "pytorch-lightning_version": "1.4.2"}
    assert left_out == ["optimizer_states", "lr_schedulers"]


def test_a_file_is_converted_in_a_process_of_its_own(tmp_path: Path) -> None:
    source = stored(tmp_path / "model.ckpt", {"state_dict": {"a": torch.ones(3)}, "step": 3, "callbacks": [1]})
    told: list[tuple[int, int]] = []
    done = convert(source, target_of(source, None), dtype="fp16", tell=lambda *far: told.append(far))
    assert (done.tensors, dict(done.notes), done.left_out) == (1, {"step": "3"}, ("callbacks",))
    assert done.path == tmp_path / "model.safetensors"
    assert done.size == done.path.stat().st_size
    assert written(done.path)[0]["a"].dtype == torch.float16
    assert left(tmp_path) == {"model.ckpt", "model.safetensors"}
    assert told == [(6, 6)]


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"a": torch.ones(1), "step": 3}, {"a"}),
        ({"params_ema": {"a": torch.ones(1)}, "params": {"a": torch.zeros(1)}}, {"a"}),
        ({"model": {"a": torch.ones(1)}, "epoch": 4}, {"a"}),
        ({"image_proj": {"w": torch.ones(1)}, "ip_adapter": {"1.to_k_ip.weight": torch.ones(1)}}, None),
        ({"state_dict": {"inner": {"a": torch.ones(1)}}}, {"inner.a"}),
        ({320: ({"a": torch.ones(1)}, {"a": torch.ones(1)})}, {"320.0.a", "320.1.a"}),
    ],
)
def test_the_weights_are_found_wherever_they_are(tmp_path: Path, document: Any, names: set[str] | None) -> None:
    tensors, _, _ = rewritten(stored(tmp_path / "x.bin", document))
    assert set(tensors) == (names or {"image_proj.w", "ip_adapter.1.to_k_ip.weight"})
    assert all(tensor.item() == 1 for tensor in tensors.values())


def test_a_textual_inversion_becomes_one_that_is_read(tmp_path: Path) -> None:
    vectors = torch.randn(3, 768, requires_grad=True)
    document = {"string_to_token": {"*": 265}, "string_to_param": {"*": vectors}, "name": "cat", "step": 10}
    _, metadata, _ = rewritten(stored(tmp_path / "cat.pt", document))
    assert metadata == {"name": "cat", "step": "10"}
    assert torch.equal(read_embedding(tmp_path / "cat.safetensors")[768], vectors.detach())


def test_what_training_tools_leave_beside_weights_is_left_out(tmp_path: Path) -> None:
    numpy = pytest.importorskip("numpy")
    document = {
        "state_dict": {"a": torch.ones(2)},
        "best": numpy.float64(0.5),
        "callbacks": {"stopping": numpy.zeros(3)},
        "counts": defaultdict(list),
        "names": defaultdict(list, {"x": ["y"]}),
    }
    tensors, metadata, left_out = rewritten(stored(tmp_path / "x.ckpt", document))
    assert set(tensors) == {"a"}
    assert metadata == {}
    assert left_out == ["best", "callbacks", "names"]


def test_the_callbacks_of_lightning_are_passed_over(tmp_path: Path) -> None:
    """As in the checkpoints of Stable Diffusion 1 themselves, which name a class of a package that nobody has."""
    source = stored(tmp_path / "sd.ckpt", {"state_dict": {"a": torch.ones(2)}, "callbacks": {_Stub: {"best": 1}}})
    named = tmp_path / "v1.ckpt"
    name = b"pytorch_lightning.callbacks.model_checkpoint\nModelCheckpoint"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(named, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            ours = f"{_Stub.__module__}\n_Stub".encode()
            assert ours in data or not entry.filename.endswith("data.pkl")
            new.writestr(entry.filename, data.replace(ours, name))
    tensors, _, left_out = rewritten(named)
    assert set(tensors) == {"a"}
    assert left_out == ["callbacks"]


class _Stub:
    pass


@pytest.mark.parametrize(
    ("dtype", "found"), [("fp16", torch.float16), ("bf16", torch.bfloat16), ("fp32", torch.float32)]
)
def test_another_precision_is_that_of_weights_alone(tmp_path: Path, dtype: str, found: torch.dtype) -> None:
    weights = {"a": torch.rand(70), "half": torch.rand(3).half(), "ids": torch.arange(3)}
    tensors, _, _ = rewritten(stored(tmp_path / "x.pt", weights), dtype)
    assert {name: tensor.dtype for name, tensor in tensors.items()} == {"a": found, "half": found, "ids": torch.int64}
    assert torch.equal(tensors["a"], weights["a"].to(found))


def test_values_that_a_precision_cannot_hold_are_told(tmp_path: Path) -> None:
    source = stored(tmp_path / "x.pt", {"big.weight": torch.tensor([1e6, float("inf")])})
    with pytest.raises(RefusalError, match=r"'big.weight' has values that float16 cannot hold; --dtype bf16 can"):
        rewritten(source, "fp16")
    assert rewritten(source, "bf16")[0]["big.weight"].isinf().tolist() == [False, True]


@pytest.mark.parametrize("kind", ["zip", "legacy", "raw", "nested", "builtin", "getattr"])
def test_nothing_in_a_malicious_file_runs(tmp_path: Path, kind: str) -> None:
    canary, source = tmp_path / "canary", tmp_path / "evil.ckpt"
    evil: Any = Canary(canary)
    if kind == "raw":
        source.write_bytes(pickle.dumps(evil, protocol=2))
    elif kind == "nested":
        stored(source, {"state_dict": {"a": torch.ones(1)}, "callbacks": [{"x": evil}]})
    elif kind == "builtin":
        stored(source, {"a": Canary(canary, exec)})
    elif kind == "getattr":
        stored(source, {"a": torch.ones(1), "b": Canary(canary, getattr)})
    else:
        stored(source, {"a": torch.ones(1), "b": evil}, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(RefusalError, match=r"^[\w.]+$") as caught:
        rewritten(source)
    assert caught.value.code == "global"
    assert left(tmp_path) == {"evil.ckpt"}


def test_a_malicious_file_is_refused_with_what_it_asked_for(tmp_path: Path) -> None:
    canary, source = tmp_path / "canary", tmp_path / "evil.ckpt"
    source.write_bytes(pickle.dumps(Canary(canary)))
    asks = rf"refused: beside weights it asks for {os.system.__module__}.system, which is none"
    with pytest.raises(ConvertError, match=asks):
        convert(source, target_of(source, None))
    assert left(tmp_path) == {"evil.ckpt"}
    pickle.loads(source.read_bytes())
    assert canary.exists()  # it sings where it can


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a pickled file: it starts with 68 65 6c 6c 6f"),
        (b"<html>", "not a pickled file but a web page"),
        (b"GGUF1234", "not a pickled file but a GGUF file"),
        (b"version https://git-lfs.github.com", "a Git LFS pointer"),
    ],
)
def test_what_is_no_pickle_is_told(tmp_path: Path, data: bytes, words: str) -> None:
    source = tmp_path / "x.ckpt"
    source.write_bytes(data)
    with pytest.raises(ConvertError, match=words):
        convert(source, target_of(source, None))
    assert left(tmp_path) == {"x.ckpt"}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_is_cut_short_is_told(tmp_path: Path, zipped: bool) -> None:
    source = stored(tmp_path / "x.pt", {"a": torch.rand(1000)}, _use_new_zipfile_serialization=zipped)
    whole = source.read_bytes()
    for count in (5, 30, len(whole) // 2, len(whole) - 500):
        source.write_bytes(whole[:count])
        with pytest.raises(RefusalError) as caught:
            rewritten(source)
        assert caught.value.code in ("damaged", "pickle")
        assert left(tmp_path) == {"x.pt"}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    source = tmp_path / "x.ckpt"
    source.write_bytes(b"PK\x03\x04" + bytes(200))
    with pytest.raises(ConvertError, match="the archive is cut short or damaged, or holds no weights"):
        convert(source, target_of(source, None))
    assert left(tmp_path) == {"x.ckpt"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([1, 2], "it holds a list, expected a table of tensors"),
        ({"x": 3, "y": "z"}, "it holds no tensors, but 'x', 'y'"),
        ({"a": torch.ones(2).to_sparse()}, "'a' is a tensor of a kind that safetensors cannot hold"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "'a' has the type torch.complex64"),
        ({"__metadata__": torch.ones(2)}, "a tensor is named '__metadata__'"),
        ({"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}, "two of its tensors are named 'a.b'"),
    ],
)
def test_what_holds_no_weights_that_can_be_written_is_told(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(RefusalError, match=words):
        rewritten(stored(tmp_path / "x.pt", document))
    assert left(tmp_path) == {"x.pt"}


def test_a_program_is_refused(tmp_path: Path) -> None:
    source = stored(tmp_path / "module.pt", torch.nn.Linear(2, 2))
    with pytest.raises(RefusalError, match=r"^torch.nn.modules.linear.Linear$"):
        rewritten(source)


def test_what_is_there_is_only_written_over_where_that_is_wanted(tmp_path: Path) -> None:
    source = stored(tmp_path / "x.pt", {"a": torch.ones(1)})
    target = tmp_path / "x.safetensors"
    target.write_bytes(b"mine")
    with pytest.raises(ConvertError, match="is there already; --output names another file, --force writes over it"):
        convert(source, target)
    assert target.read_bytes() == b"mine"
    convert(source, target, force=True)
    assert set(read_header(target).tensors) == {"a"}
    with pytest.raises(ConvertError, match="a safetensors file already"):
        convert(target, tmp_path / "y.safetensors")


@pytest.mark.parametrize(
    ("target", "words"), [("x.ckpt", r"ends in \.safetensors"), ("no/x.safetensors", "no such folder")]
)
def test_a_target_that_cannot_be_is_told(tmp_path: Path, target: str, words: str) -> None:
    source = stored(tmp_path / "a.pt", {"a": torch.ones(1)})
    with pytest.raises(ConvertError, match=words):
        convert(source, tmp_path / target)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConvertError, match="no such file"):
        convert(tmp_path / "a.pt", tmp_path / "a.safetensors")


def test_a_small_file_does_not_fill_the_disk(tmp_path: Path) -> None:
    """A tensor that says one number a billion times takes a few bytes in a pickle."""
    source = stored(tmp_path / "x.pt", {"a": torch.ones(1).expand(10**12)})
    assert source.stat().st_size < 10_000
    with pytest.raises(RefusalError, match="bytes would unfold into 4000000000000, as its tensors repeat"):
        rewritten(source)
    assert left(tmp_path) == {"x.pt"}


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_the_process_ends_when_its_parent_has_and_leaves_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "endless.pt")
    part = tmp_path / "x.part"
    job = {"source": str(tmp_path / "endless.pt"), "part": str(part), "dtype": None, "memory": 2**31}
    command = [sys.executable, "-m", "nodegraph.collection.unpickling"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(job).encode() + b"\n")
        process.stdin.flush()
        part.touch()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.stdin.close()
        assert process.wait(30) == 1
    assert not part.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="memory of processes is bounded on Linux")
def test_a_file_that_unfolds_in_memory_is_stopped(tmp_path: Path) -> None:
    """A zip whose entry takes a thousand times the room once it is read."""
    plain, bomb = stored(tmp_path / "plain.pt", {"a": torch.zeros(50_000_000)}), tmp_path / "bomb.pt"
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    plain.unlink()
    assert bomb.stat().st_size < 2_000_000
    with pytest.raises(ConvertError, match=r"takes more than 0.3 GiB of memory; --memory allows more"):
        convert(bomb, target_of(bomb, None), bounds=Bounds(memory=300 * 2**20))
    assert left(tmp_path) == {"bomb.pt"}


def test_a_file_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    source = stored(tmp_path / "x.pt", {"a": torch.ones(1)})
    with pytest.raises(ConvertError, match="took longer than 0 s; --timeout allows more"):
        convert(source, target_of(source, None), bounds=Bounds(seconds=0.05))
    assert left(tmp_path) == {"x.pt"}


def test_old_torches_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "version", lambda name: "2.9.1+cpu")
    with pytest.raises(ConvertError, match=r"only read with torch 2.10 or later, this is 2.9.1"):
        module.check_torch()


def test_the_bounds_grow_with_the_file() -> None:
    memory, seconds = Bounds().of(4 * 2**30)
    assert memory >= 8 * 2**30
    assert 200 < seconds < 1000
    assert Bounds(5, 6.0).of(2**30) == (5, 6.0)

"""Reading headers of files that are well, broken, of other kinds or hostile."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from nodegraph.cli import main
from nodegraph.diffusion.weights.errors import (
    CorruptFileError,
    MissingFileError,
    NotSafetensorsError,
    PickledFileError,
    TruncatedFileError,
    WeightsError,
)
from nodegraph.diffusion.weights.header import MAX_HEADER, read_header

ENTRY = {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}


def test_names_dtypes_shapes_and_metadata_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"x": torch.zeros(2, 3, dtype=torch.bfloat16), "s": torch.tensor(1.0), "e": torch.zeros(0, 4)}
    save_file(tensors, path, {"title": "A"})
    header = read_header(path)
    assert dict(header.metadata) == {"title": "A"}
    found = {name: (info.dtype, info.shape, info.size, info.count) for name, info in header.tensors.items()}
    assert found == {"x": ("BF16", (2, 3), 12, 6), "s": ("F32", (), 4, 1), "e": ("F32", (0, 4), 0, 0)}


def test_a_file_cut_anywhere_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"first": torch.zeros(4), "second": torch.zeros(4)}, path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(TruncatedFileError, match=r"a\.safetensors"):
            read_header(path)


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("a.safetensors", b"PK\x03\x04" + bytes(60), PickledFileError, "convert"),
        ("a.safetensors", b"\x80\x02}q\x00X\x05\x00\x00\x00", PickledFileError, "convert"),
        ("a.ckpt", b"", PickledFileError, "convert"),
        ("a.pt", b"whatever it is", PickledFileError, "convert"),
        ("a.safetensors", b"GGUF" + bytes(60), NotSafetensorsError, "a GGUF file"),
        ("a.safetensors", b"version https://git-lfs.github.com/spec/v1\n", NotSafetensorsError, "git lfs pull"),
        ("a.safetensors", b"<!DOCTYPE html><html>", NotSafetensorsError, "a web page"),
        ("a.json", b'{"format": 1, "nodes": {}}', NotSafetensorsError, "a JSON file"),
        ("a.safetensors", b"", TruncatedFileError, "got 0 bytes"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(60), NotSafetensorsError, "does not start with a header"),
        ("a.safetensors", bytes(100), NotSafetensorsError, "does not start with a header"),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, error: type[Exception], told: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(error, match=told) as caught:
        read_header(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file"):
        read_header(tmp_path / "none.safetensors")


def test_the_conversion_that_is_offered_for_pickles_works(tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    torch.save({"state_dict": {"w": torch.arange(3.0)}, "epoch": 4}, path)
    with pytest.raises(PickledFileError) as caught:
        read_header(path)
    program, *command = shlex.split(str(caught.value).split("\n", 1)[1])
    assert (program, main(command)) == ("nodegraph", 0)
    assert load_file(tmp_path / "old.safetensors")["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b"{not json", "not valid JSON"),
        (b'{"a": 1, "a": 2}', "occurs twice"),
        (b'{"a":' + b"[" * 100_000, "not valid JSON"),
        (b'{"a":\xff}', "not valid JSON"),
        ({"__metadata__": {"a": 1}}, "__metadata__"),
        ({"__metadata__": []}, "__metadata__"),
        ({"w": 3}, "'w'"),
        ({"w": {**ENTRY, "shape": [2, -3]}}, "'w'"),
        ({"w": {**ENTRY, "shape": [2, True]}}, "'w'"),
        ({"w": {**ENTRY, "shape": "23"}}, "'w'"),
        ({"w": {**ENTRY, "shape": [1] * 100}}, "'w'"),
        ({"w": {**ENTRY, "data_offsets": [0]}}, "'w'"),
        ({"w": {**ENTRY, "data_offsets": [12, 0]}}, "does not take -12 bytes"),
        ({"w": {**ENTRY, "data_offsets": [0, 11]}}, "does not take 11 bytes"),
        ({"w": {**ENTRY, "dtype": "F17"}}, "unknown dtype 'F17'"),
        ({"w": {**ENTRY, "dtype": ["F16"]}}, "unknown dtype"),
    ],
)
def test_headers_that_make_no_sense_are_refused(
    raw_file: Callable[[object, int], Path], header: object, told: str
) -> None:
    with pytest.raises(CorruptFileError, match=told):
        read_header(raw_file(header, 12))


def test_a_huge_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as stream:
        stream.write((MAX_HEADER + 1).to_bytes(8, "little") + b"{")
        stream.truncate(MAX_HEADER + 100)
    with pytest.raises(NotSafetensorsError):
        read_header(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 180), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, flips: list[tuple[int, int]]) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"first": torch.zeros(4), "second": torch.zeros(2, 2)}, path, {"k": "v"})
    content = bytearray(path.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path.write_bytes(content)
    with suppress(WeightsError):
        read_header(path)

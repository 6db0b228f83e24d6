"""Loading and hashing large files can be stopped within a tensor."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.weights.hints import KEY
from nodegraph.diffusion.weights.load import load_checkpoint
from nodegraph.diffusion.weights.source import CHUNK, digest
from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import Cancelled

EMBEDDING = "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"
METADATA = {KEY: '{"unet": {"groups": 8, "heads": 4}, "vae": {"groups": 8}, "clip": {"heads": 4}}'}
ROWS = 2**21
"""Of the one large tensor: 200 MB or so."""


@pytest.fixture
def large(tmp_path: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Return a checkpoint of which one tensor is large; on disk that one is a hole."""
    header: dict[str, object] = {"__metadata__": METADATA}
    data, end = [], 0
    for name, tensor in tensors.items():
        shape, size = list(tensor.shape), tensor.numel() * 4
        if name == EMBEDDING:
            continue
        data.append(tensor.float().contiguous().numpy().tobytes())
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    shape = [ROWS, tensors[EMBEDDING].shape[1]]
    whole = end + shape[0] * shape[1] * 4
    header[EMBEDDING] = {"dtype": "F32", "shape": shape, "data_offsets": [end, whole]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(data))
        file.truncate(8 + len(text) + whole)
    return path


def test_no_step_of_a_load_is_larger_than_a_chunk(large: Path) -> None:
    told = [0]
    load_checkpoint(large, device="cpu", dtype=torch.bfloat16, progress=lambda done, total: told.append(done))
    steps = [after - before for before, after in pairwise(told)]
    assert 0 < max(steps) <= CHUNK
    assert told[-1] == max(told) > 20 * CHUNK


def test_a_load_that_is_cancelled_ends_within_a_second(large: Path) -> None:
    token, asked = CancelToken(), []

    def cancel() -> None:
        asked.append(time.monotonic())
        token.cancel()

    def progress(done: int, total: int) -> None:
        time.sleep(0.005)  # a disk that reads 800 MB a second
        token.check()

    timer = threading.Timer(0.15, cancel)
    timer.start()
    with pytest.raises(Cancelled):
        load_checkpoint(large, device="cpu", dtype=torch.bfloat16, progress=progress)
    assert time.monotonic() - asked[0] < 1.0
    timer.join()


def test_a_digest_is_right_and_stops_when_it_is_told(tmp_path: Path) -> None:
    path, content = tmp_path / "a.safetensors", os.urandom(3 * CHUNK + 5)
    path.write_bytes(content)
    looks: list[int] = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        digest([path], check)
    assert digest([path], lambda: looks.append(1)) == hashlib.sha256(content).hexdigest()
    assert len(looks) == 2 + 4
    assert digest([path], lambda: looks.append(1)) == hashlib.sha256(content).hexdigest()
    assert len(looks) == 6  # it is known

"""Files of learned words, and finding them by name."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nodegraph.cli import main
from nodegraph.diffusion.adapters.embeddings import EmbeddingFiles, read_embedding
from nodegraph.diffusion.adapters.read import AdapterError
from nodegraph.diffusion.weights.errors import PickledFileError

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ({"emb_params": torch.ones(3, 768)}, {768: 3}),
        ({"<cat>": torch.ones(768)}, {768: 1}),
        ({"<cat>": torch.ones(2, 1024, dtype=torch.float16)}, {1024: 2}),
        ({"clip_l": torch.ones(2, 768), "clip_g": torch.ones(2, 1280)}, {768: 2, 1280: 2}),
        ({"string_to_param.*": torch.ones(4, 768), "step": torch.ones(1)}, {768: 4}),
    ],
)
def test_each_layout(write: Write, tensors: dict[str, Tensor], expected: dict[int, int]) -> None:
    vectors = read_embedding(write(tensors))
    assert {width: len(rows) for width, rows in vectors.items()} == expected
    assert all(rows.dtype == torch.float32 and rows.shape[1] == width for width, rows in vectors.items())


def test_of_several_words_the_first_is_taken(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        vectors = read_embedding(write({"a": torch.zeros(16), "b": torch.ones(16)}))
    assert torch.equal(vectors[16], torch.zeros(1, 16))
    assert "holds 2 words of width 16; 'a' is taken" in caplog.text


@pytest.mark.parametrize(
    "tensors",
    [
        {"lora_unet_x.lora_up.weight": torch.ones(16, 16)},
        {"emb_params": torch.ones(2000, 16)},
        {"counts": torch.ones(4)},
        {"ids": torch.ones(4, 16, dtype=torch.int64)},
    ],
)
def test_other_files_are_refused(write: Write, tensors: dict[str, Tensor]) -> None:
    with pytest.raises(AdapterError, match="no textual inversion"):
        read_embedding(write(tensors))


@pytest.mark.parametrize(
    "content",
    [
        {"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 768)}, "name": "cat", "step": 5},
        {"<cat>": torch.ones(768)},
        {"clip_l": torch.ones(1, 768), "clip_g": torch.ones(1, 1280)},
    ],
)
def test_a_pickled_one_is_refused_with_a_command_that_converts_it(tmp_path: Path, content: dict[str, Tensor]) -> None:
    path = tmp_path / "cat.pt"
    torch.save(content, path)
    with pytest.raises(PickledFileError, match="Convert it to safetensors once") as caught:
        read_embedding(path)
    program, *command = shlex.split(caught.value.problem.partition("\n")[2])
    assert (program, main(command)) == ("nodegraph", 0)
    assert 768 in read_embedding(tmp_path / "cat.safetensors")


def test_files_are_found_by_any_spelling_and_read_once(write: Write) -> None:
    one, two = write({"x": torch.zeros(16)}, name="one"), write({"x": torch.ones(16)}, name="two")
    files = EmbeddingFiles({"bad/Hands.safetensors": one, "cat.safetensors": two})
    for name in ("bad/Hands.safetensors", "bad\\Hands", "bad/hands", "hands", "Hands.safetensors"):
        assert name in files
        assert torch.equal(files[name][16], torch.zeros(1, 16))
    assert files["cat"] is files["cat.safetensors"]
    assert list(files) == ["bad/Hands", "cat"]
    assert len(files) == 2
    assert "dog" not in files
    with pytest.raises(KeyError):
        files["dog"]

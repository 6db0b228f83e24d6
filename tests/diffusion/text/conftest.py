"""A small CLIP vocabulary as files, and tokenizers whose ids can be read off the text."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

SYMBOLS = [chr(byte) for byte in (*range(33, 127), *range(161, 173), *range(174, 256))]
MERGES = ["c a", "ca t</w>", "d o", "do g</w>"]


class LetterTokenizer:
    """Give each letter that is not a space its code point; 1 starts, 2 ends."""

    start, end = 1, 2

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text if not letter.isspace()]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(chr(token) for token in tokens if token not in (self.start, self.end))


@pytest.fixture
def letters() -> LetterTokenizer:
    """Return a tokenizer of one token a letter."""
    return LetterTokenizer()


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> Path:
    """Return a folder with `vocab.json` and `merges.txt` that know cats and dogs."""
    symbols = SYMBOLS + [chr(256 + extra) for extra in range(256 - len(SYMBOLS))]
    names = [*symbols, *(symbol + "</w>" for symbol in symbols), *(merge.replace(" ", "") for merge in MERGES)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES, ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def merges_file() -> Path:
    """Return OpenAI's merges file, which open_clip_torch carries."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        pytest.skip("open_clip_torch is not installed")
    return Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")

"""Token ids: every source of the vocabulary and transformers' CLIPTokenizer agree on any text."""

from __future__ import annotations

import gzip
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.diffusion.text.clip_bpe import (
    MERGES,
    ClipTokenizer,
    InstantClipTokenizer,
    from_folder,
    from_merges_file,
)
from nodegraph.diffusion.text.tokenizer import Tokenizer

transformers = pytest.importorskip("transformers")

# Unassigned characters are left out: the two engines' tables of letters are of different Unicode versions.
TEXTS = st.lists(
    st.characters(exclude_categories=["Cs", "Cn"])
    | st.sampled_from(
        ["<|endoftext|>", "<|StartOfText|>", "'ll", "'S", "Don't", " ", "\n", "\x85", "\u200b", "e\u0301"]
    )
    | st.sampled_from(["a photo of", "red-blue", "CIRCLE", "1234", "...", "🎨", "İ", "ΑΣ", "ﬁ", "日本", "한글"]),
    max_size=25,
).map("".join)

Encode = Callable[[str], list[int]]


def reference(folder: Path) -> Encode:
    tokenizer = transformers.CLIPTokenizer.from_pretrained(str(folder))
    return lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]


def write_files(folder: Path, vocabulary: dict[str, int], merges: list[str]) -> Path:
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    return folder


def read(folder: Path) -> ClipTokenizer:
    tokenizer = from_folder(folder)
    assert tokenizer is not None
    return tokenizer


@pytest.fixture(scope="module")
def merges_file() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        pytest.skip("open_clip_torch, which carries the merges, is not installed")
    return Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")


@pytest.fixture(scope="module")
def sources(merges_file: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Encode, list[Tokenizer]]:
    """Return transformers' encoding and our tokenizers, all of the one published vocabulary."""
    pytest.importorskip("instant_clip_tokenizer")
    from_merges = from_merges_file(merges_file)
    lines = gzip.decompress(merges_file.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    vocabulary = from_merges._backend.get_vocab(with_added_tokens=False)
    folder = write_files(tmp_path_factory.mktemp("tokenizer"), vocabulary, lines)
    return reference(folder), [from_merges, read(folder), InstantClipTokenizer()]


@settings(max_examples=500, deadline=None)
@given(text=TEXTS)
def test_all_sources_agree_with_transformers(sources: tuple[Encode, list[Tokenizer]], text: str) -> None:
    expected, tokenizers = sources
    ids = expected(text)
    for tokenizer in tokenizers:
        assert tokenizer.encode(text) == ids
    assert len({tokenizer.decode(ids) for tokenizer in tokenizers}) == 1


def test_every_letter_up_to_unicode_15_agrees(sources: tuple[Encode, list[Tokenizer]]) -> None:
    _, (files, _, instant) = sources
    for first in (0, 0x3000, 0xA000, 0xF900, 0x1D400, 0x1F300):
        for code in range(first, first + 0x700):
            text = f"a{chr(code)}B {chr(code)}"
            assert files.encode(text) == instant.encode(text), f"U+{code:04X}"


@settings(deadline=None)
@given(text=TEXTS)
def test_a_small_vocabulary_agrees_with_transformers(small: tuple[Encode, Tokenizer], text: str) -> None:
    expected, tokenizer = small
    assert tokenizer.encode(text) == expected(text)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encode, Tokenizer]:
    symbols = [chr(byte) for byte in (*range(33, 127), *range(161, 173), *range(174, 256))]
    symbols += [chr(256 + extra) for extra in range(256 - len(symbols))]
    merges = ["p h", "o t", "ph ot", "phot o</w>", "o f</w>", "r e", "re d</w>", ". .", ".. .</w>", "ð Ł"]
    names = [*symbols, *(symbol + "</w>" for symbol in symbols), *(merge.replace(" ", "") for merge in merges)]
    names += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {name: number for number, name in enumerate(names)}
    folder = write_files(tmp_path_factory.mktemp("small"), vocabulary, merges)
    return reference(folder), read(folder)

"""CLIP's byte-pair encoding, with the packaged vocabulary and with a small one from files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Pipeline

from nodegraph.diffusion.text import clip_bpe
from nodegraph.diffusion.text.clip_bpe import ClipTokenizer, from_folder, from_merges_file, from_tokenizer_json
from nodegraph.diffusion.text.tokenizer import Tokenizer, TokenizerError
from nodegraph.diffusion.text.vocabulary import clip_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return clip_tokenizer()


def small(folder: Path) -> ClipTokenizer:
    tokenizer = from_folder(folder)
    assert tokenizer is not None
    return tokenizer


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", []),
        ("a photo of a cat", [320, 1125, 539, 320, 2368]),
        ("  A\tPhoto \n OF a\u00a0cat ", [320, 1125, 539, 320, 2368]),
        ("Don't", [847, 713]),
        ("e\u0301", [4166]),
        ("\u00e9", [4166]),
        ("a<|endoftext|>cat<|startoftext|>", [320, 49407, 2368, 49406]),
        ("!", [256]),
    ],
)
def test_known_ids(tokenizer: Tokenizer, text: str, ids: list[int]) -> None:
    assert tokenizer.encode(text) == ids
    assert (tokenizer.start, tokenizer.end) == (49406, 49407)


def test_decoding_gives_the_words(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("A red  Circle, the café's")
    assert tokenizer.decode(ids) == "a red circle , the café 's"
    assert tokenizer.decode([tokenizer.start, *ids[:3], tokenizer.end]) == "a red circle"
    assert tokenizer.decode([*ids[:3], 49408, 99999]) == "a red circle"


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_any_text_has_ids_and_decodes(text: str) -> None:
    tokenizer = clip_tokenizer()
    ids = tokenizer.encode(text)
    assert all(0 <= token <= tokenizer.end for token in ids)
    assert isinstance(tokenizer.decode(ids), str)


def test_surrogate_pairs_are_joined_and_lone_ones_replaced(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("\ud83d\ude00") == tokenizer.encode("\U0001f600")
    assert tokenizer.encode("a\ud83d") == tokenizer.encode("a\ufffd")


def test_a_folder_of_files_makes_a_tokenizer(tokenizer_folder: Path) -> None:
    tokenizer = small(tokenizer_folder)
    symbols = 512
    assert tokenizer.encode("A cat, CAT dog") == [64 + 256, symbols + 1, 11 + 256, symbols + 1, symbols + 3]
    assert (tokenizer.start, tokenizer.end) == (516, 517)
    assert tokenizer.decode(tokenizer.encode("A cat, CAT dog")) == "a cat , cat dog"


def test_a_saved_pipeline_gives_the_same_ids(tokenizer_folder: Path, tmp_path: Path) -> None:
    tokenizer = small(tokenizer_folder)
    saved = tmp_path / "saved"
    saved.mkdir()
    pipeline: Pipeline = tokenizer._backend
    pipeline.enable_truncation(2)
    pipeline.enable_padding(length=77)
    pipeline.save(str(saved / "tokenizer.json"))
    pipeline.no_truncation()
    pipeline.no_padding()
    assert small(saved).encode("cat dog cat") == tokenizer.encode("cat dog cat")


def test_an_empty_folder_has_no_tokenizer(tmp_path: Path) -> None:
    assert from_folder(tmp_path) is None


def test_merges_file_packed_or_not(tmp_path: Path) -> None:
    symbols = clip_bpe._byte_symbols()
    merges = [f"{left} {right}" for left in symbols for right in symbols][: clip_bpe.MERGES]
    text = "\n".join(["title", *merges, "beyond the last"])
    (tmp_path / "merges.txt").write_text(text, encoding="utf-8")
    (tmp_path / "merges.txt.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = from_merges_file(tmp_path / "merges.txt"), from_merges_file(tmp_path / "merges.txt.gz")
    assert (plain.start, plain.end) == (packed.start, packed.end) == (49406, 49407)
    first_merge = 512
    assert plain.encode("!!x") == packed.encode("!!x") == [0, 256, 87 + 256]  # "!" "!</w>" is no merge here
    assert plain.encode("!!!") == [first_merge, 256]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("short.txt", b"title\na b\nc d\n"),
        ("broken.txt.gz", b"\x1f\x8b broken"),
        ("cut.txt.gz", gzip.compress(b"title\na b\n" * 9999)[:200]),
        ("latin.txt", "title\né é".encode("latin-1")),
        ("three.txt", b"title\n" + b"a b c\n" * clip_bpe.MERGES),
    ],
)
def test_a_broken_merges_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TokenizerError, match=f"{name}: not a CLIP merges file"):
        from_merges_file(tmp_path / name)


def test_a_missing_merges_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"absent\.txt"):
        from_merges_file(tmp_path / "absent.txt")


@pytest.mark.parametrize(
    ("vocabulary", "merges"),
    [
        ("{", "a b"),
        ('["a"]', "a b"),
        ('{"a": "one"}', "a b"),
        ('{"a": 0}', "a b"),
        ('{"a": 0, "b": 1, "ab": 2}', "a b"),
    ],
    ids=["not JSON", "no mapping", "no numbers", "merges beyond the vocabulary", "no start and end"],
)
def test_a_broken_folder_is_named(tmp_path: Path, vocabulary: str, merges: str) -> None:
    (tmp_path / "vocab.json").write_text(vocabulary)
    (tmp_path / "merges.txt").write_text(merges)
    with pytest.raises(TokenizerError, match="not a CLIP tokenizer"):
        from_folder(tmp_path)


def test_a_broken_pipeline_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json: not a tokenizer file"):
        from_tokenizer_json(tmp_path / "tokenizer.json")

"""The vocabulary is found where it lies, in order, without importing packages or a network."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.diffusion.text import vocabulary
from nodegraph.diffusion.text.clip_bpe import InstantClipTokenizer
from nodegraph.diffusion.text.tokenizer import TokenizerError, TokenizerNotFoundError
from nodegraph.diffusion.text.vocabulary import clip_tokenizer

SMALL_END = 517


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make a machine without any vocabulary, its hub cache in the folder returned."""
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setitem(sys.modules, "instant_clip_tokenizer", None)  # an import of it fails
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for package in ("open_clip", "clip", "refiners"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    return tmp_path / "hub"


def carrier(folder: Path, content: bytes) -> Path:
    """Return a folder for sys.path with a package `open_clip` that must not be imported."""
    package = folder / "site" / "open_clip"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "bpe_simple_vocab_16e6.txt.gz").write_bytes(content)
    importlib.invalidate_caches()
    return package.parent


def test_the_configured_path_comes_first(tokenizer_folder: Path) -> None:
    assert clip_tokenizer(configured=tokenizer_folder).end == SMALL_END
    assert clip_tokenizer(configured=tokenizer_folder.parent).end == SMALL_END


def test_files_beside_the_model_come_before_installed_ones(tokenizer_folder: Path) -> None:
    assert clip_tokenizer(tokenizer_folder.parent).end == SMALL_END
    assert clip_tokenizer(tokenizer_folder).end == SMALL_END


def test_a_model_without_tokenizer_files_gets_the_installed_vocabulary(tmp_path: Path) -> None:
    assert clip_tokenizer(tmp_path).encode("a photo of a cat") == [320, 1125, 539, 320, 2368]


def test_broken_files_in_a_named_place_are_told(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "merges.txt").write_text("a b")
    with pytest.raises(TokenizerError, match="not a CLIP tokenizer"):
        clip_tokenizer(tmp_path)
    with pytest.raises(TokenizerError, match=r"absent\.json"):
        clip_tokenizer(configured=tmp_path / "absent.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TokenizerError, match="holds neither"):
        clip_tokenizer(configured=tmp_path / "empty")


def test_nothing_found_tells_what_to_install_and_where_it_looked(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(TokenizerNotFoundError, match="Install instant-clip-tokenizer") as caught:
        clip_tokenizer(tmp_path)
    for place in (str(tmp_path / "tokenizer"), "open_clip", "refiners", "clip-vit-large-patch14"):
        assert place in str(caught.value)


def test_a_carrier_package_is_read_without_importing_it(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, merges_file: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(carrier(tmp_path, merges_file.read_bytes()))])
    assert clip_tokenizer().encode("a photo of a cat") == [320, 1125, 539, 320, 2368]
    assert "open_clip" not in sys.modules


def test_a_changed_file_in_a_carrier_package_is_not_used(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "path", [str(carrier(tmp_path, b"something else"))])
    with pytest.raises(TokenizerNotFoundError):
        clip_tokenizer()
    assert "is not OpenAI's merges file" in caplog.text


def test_the_hub_cache_is_the_last_resort(bare: Path, tokenizer_folder: Path) -> None:
    snapshot = bare / "models--openai--clip-vit-large-patch14" / "snapshots"
    (snapshot / "aaa").mkdir(parents=True)
    (snapshot / "aaa" / "tokenizer.json").write_text("half a downl")
    shutil.copytree(tokenizer_folder, snapshot / "bbb")
    assert clip_tokenizer().end == SMALL_END


def test_the_hub_cache_follows_its_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    assert vocabulary._hub_cache() == Path.home() / ".cache" / "huggingface" / "hub"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert vocabulary._hub_cache() == tmp_path / "huggingface" / "hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    assert vocabulary._hub_cache() == tmp_path / "home" / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    assert vocabulary._hub_cache() == tmp_path / "cache"


def test_a_vocabulary_is_built_once(tmp_path: Path) -> None:
    assert clip_tokenizer() is clip_tokenizer(tmp_path)


def test_instant_clip_tokenizer_is_enough() -> None:
    pytest.importorskip("instant_clip_tokenizer")
    assert InstantClipTokenizer().encode("a photo of a cat") == [320, 1125, 539, 320, 2368]


def test_counting_tokens_needs_no_torch() -> None:
    code = (
        "import sys; from nodegraph.diffusion.text.chunks import count_tokens; "
        "assert count_tokens('a (cat:1.2)').tokens == 2; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

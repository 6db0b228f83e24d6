"""What is in a collection is listed whole: damaged, pickled, hidden and misplaced files too, and fast the next time."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nodegraph.collection.index import Index
from nodegraph.collection.listing import Entry, Listing
from nodegraph.collection.places import Place as Folder
from nodegraph.collection.places import below
from tests.collection.conftest import Place

EMBEDDING = {"emb_params": (3, 768)}
VAE = {
    "decoder.conv_in.weight": (512, 4, 3, 3),
    "decoder.mid.block_1.conv1.weight": (512, 512, 3, 3),
    "encoder.conv_in.weight": (128, 3, 3, 3),
}
Look = Callable[..., dict[str, Entry]]


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
def look(tmp_path: Path, index: Index) -> Look:
    """Return what lists the models of some roots, by kind and name."""

    def listed(*roots: str, kinds: set[str] | None = None) -> dict[str, Entry]:
        places = [place for root in roots or ("models",) for place in below(tmp_path / root, root)]
        entries = list(Listing(places, index, kinds).entries())
        return {f"{entry.origin}:{entry.kind}/{entry.name}": entry for entry in entries}

    return listed


def nothing(name: str, done: int, total: int) -> None:
    """Take no notice of how far it is."""


def test_files_are_listed_with_what_they_are(tmp_path: Path, place: Place, look: Look) -> None:
    path = place(tmp_path / "models" / "embeddings" / "cats" / "cat.safetensors", EMBEDDING, "F32")
    place(tmp_path / "models" / "vae" / "kl.sft", VAE)
    found = look()
    assert list(found) == ["models:vae/kl.sft", "models:embeddings/cats/cat.safetensors"]
    cat = found["models:embeddings/cats/cat.safetensors"]
    assert (cat.path, cat.size, cat.modified) == (path, path.stat().st_size, path.stat().st_mtime)
    assert cat.identity is not None
    assert (cat.identity.what, cat.identity.precision, cat.identity.parameters) == ("embedding", "fp32", 2304)
    assert (cat.misplaced, cat.problem, cat.hidden_by, cat.sha256) == (False, None, None, None)


def test_only_the_kinds_that_are_asked_for_are_listed(tmp_path: Path, place: Place, look: Look) -> None:
    place(tmp_path / "models" / "embeddings" / "cat.safetensors", EMBEDDING)
    place(tmp_path / "models" / "vae" / "kl.safetensors", VAE)
    assert list(look(kinds={"vae"})) == ["models:vae/kl.safetensors"]


def test_a_file_in_the_wrong_folder_is_told_so(tmp_path: Path, place: Place, look: Look) -> None:
    place(tmp_path / "models" / "loras" / "kl.safetensors", VAE)
    entry = look()["models:loras/kl.safetensors"]
    assert entry.misplaced
    assert entry.identity is not None
    assert entry.identity.kind == "vae"


def test_of_two_files_of_a_name_the_later_is_told_to_be_hidden(tmp_path: Path, place: Place, look: Look) -> None:
    first = place(tmp_path / "one" / "vae" / "kl.safetensors", VAE)
    place(tmp_path / "two" / "vae" / "kl.safetensors", VAE)
    place(tmp_path / "two" / "vae" / "other.safetensors", VAE)
    found = look("one", "two")
    assert {name: entry.hidden_by for name, entry in found.items()} == {
        "one:vae/kl.safetensors": None,
        "two:vae/kl.safetensors": first,
        "two:vae/other.safetensors": None,
    }


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too few for a safetensors file"),
        (b"<html>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        ((2).to_bytes(8, "little") + b"{]", "the header is not valid JSON"),
        (bytes(100), "it does not start with a header"),
        ((10**12).to_bytes(8, "little") + b"{" + bytes(100), "not a safetensors file"),
    ],
)
def test_a_damaged_file_is_a_row(tmp_path: Path, look: Look, data: bytes, words: str) -> None:
    path = tmp_path / "models" / "loras" / "bad.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    entry = look()["models:loras/bad.safetensors"]
    assert entry.identity is None
    assert words in str(entry.problem)
    assert str(tmp_path) not in str(entry.problem)


@pytest.mark.parametrize("name", ["old.ckpt", "old.pt", "old.pth", "old.bin", "not_really.safetensors"])
def test_a_pickled_file_is_a_row_that_can_be_converted(tmp_path: Path, look: Look, name: str) -> None:
    path = tmp_path / "models" / "checkpoints" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    entry = look()[f"models:checkpoints/{name}"]
    assert entry.convertible
    assert entry.identity is None


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_is_a_row(tmp_path: Path, place: Place, look: Look) -> None:
    place(tmp_path / "models" / "vae" / "kl.safetensors", VAE).chmod(0)
    assert "cannot be read" in str(look()["models:vae/kl.safetensors"].problem)


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_a_link_that_leads_nowhere_is_a_row(tmp_path: Path, look: Look) -> None:
    folder = tmp_path / "models" / "vae"
    folder.mkdir(parents=True)
    (folder / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    assert "cannot be read" in str(look()["models:vae/gone.safetensors"].problem)


def test_a_diffusers_folder_is_one_row(tmp_path: Path, place: Place, look: Look) -> None:
    folder = tmp_path / "models" / "diffusers" / "pipe"
    file = place(folder / "unet" / "diffusion_pytorch_model.safetensors", {"x": (100,)})
    (folder / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    entry = look()["models:diffusers/pipe"]
    assert entry.size == file.stat().st_size + (folder / "model_index.json").stat().st_size
    assert entry.identity is not None
    assert entry.identity.family == "FLUX.1"


def test_kinds_that_plugins_know_are_listed(tmp_path: Path, place: Place, index: Index) -> None:
    place(tmp_path / "boxes" / "face.safetensors", {"x": (3,)})
    listing = Listing([Folder("ultralytics_bbox", tmp_path / "boxes", "here")], index)
    assert [(entry.kind, entry.name) for entry in listing.entries()] == [("ultralytics_bbox", "face.safetensors")]


def test_a_sha256_is_worked_out_once_and_again_where_the_file_changed(
    tmp_path: Path, place: Place, index: Index, look: Look
) -> None:
    path = place(tmp_path / "models" / "vae" / "kl.safetensors", VAE)
    listing, told = Listing(below(tmp_path / "models", ""), index), list[tuple[str, int, int]]()
    (entry,) = listing.entries()
    first = listing.hashed(entry, lambda *far: told.append(far))
    assert first == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told[-1] == ("kl.safetensors", entry.size, entry.size)
    told.clear()
    assert listing.hashed(entry, lambda *far: told.append(far)) == first
    assert told == []
    assert look()["models:vae/kl.safetensors"].sha256 == first
    place(path, {**VAE, "more": (3,)})
    assert look()["models:vae/kl.safetensors"].sha256 is None
    (changed,) = listing.entries()
    assert listing.hashed(changed, nothing) == hashlib.sha256(path.read_bytes()).hexdigest() != first


def test_what_was_found_is_known_to_the_next_process(tmp_path: Path, place: Place) -> None:
    path = place(tmp_path / "models" / "vae" / "kl.safetensors", VAE)
    with Index(tmp_path / "cache") as index:
        (first,) = Listing(below(tmp_path / "models", ""), index).entries()
        Listing([], index).hashed(first, nothing)
    status = path.stat()
    path.write_bytes(bytes(status.st_size))  # what is known is by size and time: the file itself is not read
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with Index(tmp_path / "cache") as index:
        (second,) = Listing(below(tmp_path / "models", ""), index).entries()
    assert second.identity == first.identity
    assert second.sha256 is not None


@pytest.mark.parametrize("data", [b"no database", b"SQLite format 3\0" + bytes(5000)])
def test_a_damaged_index_is_made_anew(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "models.db").write_bytes(data)
    for _ in range(2):
        with Index(tmp_path / "cache") as index:
            index.put_sha256(tmp_path, "1:2", "abc")
            assert index.sha256(tmp_path, "1:2") == "abc"


def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.put_about(tmp_path, "1", "reader", {"x": 1})
        assert index.about(tmp_path, "1", "reader") == {"x": 1}
        assert index.about(tmp_path, "1", "other reader") is None
        assert index.about(tmp_path, "2", "reader") is None
    base = sqlite3.connect(tmp_path / "models.db")
    base.execute("PRAGMA user_version = 99")
    base.close()
    with Index(tmp_path) as index:
        assert index.about(tmp_path, "1", "reader") is None


def test_facts_of_a_file_add_up_until_it_changes(tmp_path: Path) -> None:
    with Index(tmp_path) as index:
        index.put_about(tmp_path, "1", "reader", 5)
        index.put_sha256(tmp_path, "1", "abc")
        assert (index.about(tmp_path, "1", "reader"), index.sha256(tmp_path, "1")) == (5, "abc")
        index.put_about(tmp_path, "2", "reader", 6)
        assert (index.about(tmp_path, "2", "reader"), index.sha256(tmp_path, "2")) == (6, None)
        assert index.sha256(tmp_path, "1") is None


def test_two_processes_keep_what_they_find(tmp_path: Path) -> None:
    with Index(tmp_path) as one, Index(tmp_path) as other:
        for number in range(450):
            one.put_about(tmp_path / f"a{number}", "1", "reader", number + 1)
            other.put_about(tmp_path / f"b{number}", "1", "reader", number + 1)
        assert one.about(tmp_path / "a449", "1", "reader") == 450
        one.put_sha256(tmp_path / "b7", "1", "abc")
        assert other.sha256(tmp_path / "b7", "1") == "abc"
    with Index(tmp_path) as index:
        assert all(index.about(tmp_path / f"{name}{number}", "1", "reader") for name in "ab" for number in range(450))


def test_a_cache_folder_that_cannot_be_written_to_is_done_without(
    tmp_path: Path, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place(tmp_path / "models" / "vae" / "kl.safetensors", VAE)
    (tmp_path / "file").write_text("")
    with Index(tmp_path / "file" / "cache") as index:
        (entry,) = Listing(below(tmp_path / "models", ""), index).entries()
    assert entry.identity is not None
    assert "what is found is not kept for next time" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="files there take room")
def test_a_thousand_files_take_a_moment_once_they_are_known(tmp_path: Path, place: Place, index: Index) -> None:
    """Of small headers, so that the test is short."""
    for number in range(1000):
        place(tmp_path / "models" / "embeddings" / f"{number}.safetensors", EMBEDDING)
    places = below(tmp_path / "models", "")
    assert len(list(Listing(places, index).entries())) == 1000
    before = time.process_time()
    assert len(list(Listing(places, index).entries())) == 1000
    assert time.process_time() - before < 2

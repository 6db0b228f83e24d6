"""Files come from a hub whole, checked, and into the folder that they belong in, whatever the hub and the line do."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodegraph.collection.convert import ConvertError
from nodegraph.collection.hub import Address, Hub, HubError, parse_address
from nodegraph.collection.index import Index
from nodegraph.collection.pull import Pulled, Puller, Wish
from nodegraph.collection.setup import Collection, collect
from nodegraph.engine.folders import FolderError
from tests.collection.conftest import FakeHub, header_of

LORA = {
    f"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_{part}.weight": shape
    for part, shape in (("down", (4, 768)), ("up", (320, 4)))
}
FILE = "ann/styles/lora.safetensors"
ADDRESS = Address("ann", "styles", "lora.safetensors")


def lora(seed: int = 0) -> bytes:
    """Return a small LoRA's file."""
    head, data = header_of(LORA)
    return head + bytes((index * 7 + seed) % 251 for index in range(data))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path / "cache") as opened:
        yield opened


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "loras").mkdir(parents=True)
    return folder


@pytest.fixture
def collection(models: Path) -> Collection:
    return collect((models,), environment={})


async def pull(hub: FakeHub, collection: Collection, index: Index, **wish: Any) -> Pulled:
    wanted = Wish(**{"address": ADDRESS, **wish})
    return await Puller(collection, index, hub.hub).pull(wanted, pause=0.01)


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def test_a_file_comes_into_the_folder_of_its_kind(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    data = hub.put(FILE, lora())
    pulled = await pull(hub, collection, index)
    assert pulled.path == models / "loras" / "lora.safetensors"
    assert pulled.path.read_bytes() == data
    assert (pulled.kind, pulled.identity.what, pulled.identity.family) == ("loras", "LoRA", "Stable Diffusion 1.x")
    assert pulled.sha256 == hashlib.sha256(data).hexdigest()
    assert pulled.commit == "c0ffee"
    assert left(models) == ["loras/lora.safetensors"]
    if os.name == "posix":
        assert pulled.path.stat().st_mode & 0o777 == 0o666 & ~_umask()


async def test_what_is_here_already_is_not_fetched_again(hub: FakeHub, collection: Collection, index: Index) -> None:
    hub.put(FILE, lora())
    assert (await pull(hub, collection, index)).fetched
    before = len(hub.fetched)
    again = await pull(hub, collection, index)
    assert not again.fetched
    assert len(hub.fetched) == before + 1  # its start, which tells where it belongs


async def test_another_file_of_that_name_stays_unless_it_is_to_be_replaced(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    mine = models / "loras" / "lora.safetensors"
    mine.write_bytes(b"my own work")
    data = hub.put(FILE, lora())
    with pytest.raises(HubError, match="is there already, and is another file; --name chooses"):
        await pull(hub, collection, index)
    assert mine.read_bytes() == b"my own work"
    assert (await pull(hub, collection, index, name="hers/lora.safetensors")).path.read_bytes() == data
    await pull(hub, collection, index, force=True)
    assert mine.read_bytes() == data


async def test_a_broken_connection_is_taken_up_where_it_was(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    data = hub.put(FILE, lora())
    size = len(data)
    hub.breaks = [size // 3, size // 3]
    hub.errors = [503, 500]
    pulled = await pull(hub, collection, index)
    assert pulled.path.read_bytes() == data
    starts = [int(span.removeprefix("bytes=").split("-")[0]) for span in hub.fetched if span]
    assert any(start > 0 for start in starts)
    assert left(models) == ["loras/lora.safetensors"]


async def test_a_later_call_goes_on_where_an_earlier_one_was_stopped(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    data = hub.put(FILE, lora())
    await pull(hub, collection, index)  # tells how the part is called
    (models / "loras" / "lora.safetensors").unlink()
    part = models / "loras" / f".lora.safetensors.{hashlib.sha256(data).hexdigest()[:20]}.part"
    part.write_bytes(data[:3000])
    hub.asked.clear()
    assert (await pull(hub, collection, index)).path.read_bytes() == data
    assert hub.fetched[-1] == "bytes=3000-"
    assert not part.exists()


async def test_a_part_that_was_damaged_is_found_out(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    data = hub.put(FILE, lora())
    part = models / "loras" / f".lora.safetensors.{hashlib.sha256(data).hexdigest()[:20]}.part"
    part.write_bytes(bytes(3000))
    with pytest.raises(HubError, match="what came is not what the hub tells"):
        await pull(hub, collection, index)
    assert left(models) == []
    assert (await pull(hub, collection, index)).path.read_bytes() == data


async def test_a_hub_that_knows_no_ranges_sends_it_all(hub: FakeHub, collection: Collection, index: Index) -> None:
    data = hub.put(FILE, lora())
    hub.ranges, hub.breaks = False, [len(data) - 10]
    assert (await pull(hub, collection, index)).path.read_bytes() == data


async def test_a_wrong_checksum_leaves_nothing(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    hub.put(FILE, lora())
    hub.sha256 = hashlib.sha256(lora(seed=1)).hexdigest()
    with pytest.raises(HubError, match=f"expected {hub.sha256}; nothing is kept"):
        await pull(hub, collection, index)
    assert left(models) == []


async def test_a_small_file_is_checked_by_gits_checksum(hub: FakeHub, collection: Collection, index: Index) -> None:
    data = hub.put(FILE, lora())
    hub.large = False
    pulled = await pull(hub, collection, index)
    assert pulled.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_line_that_is_dead_is_given_up(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    hub.put(FILE, lora())
    hub.errors = [503] * 100
    with pytest.raises(HubError, match="the hub answers 503"):
        await pull(hub, collection, index)
    hub.errors = []
    hub.breaks = [0] * 100
    with pytest.raises(HubError, match=r"cannot be reached|bytes too early"):
        await pull(hub, collection, index)
    assert not [name for name in left(models) if not Path(name).name.startswith(".")]


async def test_a_hub_that_is_not_there_is_told_so(collection: Collection, index: Index) -> None:
    with pytest.raises(HubError, match=r"hf:ann/styles/lora.safetensors: the hub cannot be reached"):
        await Puller(collection, index, Hub("http://127.0.0.1:9")).pull(Wish(ADDRESS), pause=0.001)


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        ((401, "GatedRepo"), "is gated: accept its terms at .*/ann/styles and set HF_TOKEN"),
        ((403, "GatedRepo"), "is gated"),
        ((401, "RepoNotFound"), "no such repository to be read: its name may be misspelt, or it is private"),
        ((404, "RepoNotFound"), "no such repository"),
        ((404, "EntryNotFound"), "no file 'lora.safetensors' at 'main'"),
        ((404, "RevisionNotFound"), "no revision 'main'"),
        ((418, "Other"), "answers 418 .*: as it says"),
    ],
)
async def test_a_refusal_is_told_with_what_would_help(
    hub: FakeHub, collection: Collection, index: Index, refusal: tuple[int, str], words: str
) -> None:
    hub.put(FILE, lora())
    hub.refusal = refusal
    with pytest.raises(HubError, match=words):
        await pull(hub, collection, index)


async def test_a_revision_is_asked_for_and_its_commit_is_fetched(
    hub: FakeHub, collection: Collection, index: Index
) -> None:
    hub.put(FILE, lora())
    await pull(hub, collection, index, address=parse_address("hf:ann/styles/lora.safetensors@refs/pr/1"))
    heads = [asked.path for asked in hub.asked if asked.method == "HEAD"]
    gets = [asked.path for asked in hub.asked if asked.method == "GET" and "/resolve/" in asked.path]
    assert heads == ["/ann/styles/resolve/refs%2Fpr%2F1/lora.safetensors"]
    assert gets
    assert {path.split("/")[4] for path in gets} == {"c0ffee"}


async def test_a_repository_that_was_renamed_is_found(hub: FakeHub, collection: Collection, index: Index) -> None:
    data = hub.put("ben/styles/lora.safetensors", lora())
    hub.moved = {"ann/styles": "ben/styles"}
    assert (await pull(hub, collection, index)).path.read_bytes() == data


@pytest.mark.parametrize("where", ["http://example.org/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
async def test_no_hub_sends_us_to_places_that_are_not_encrypted(
    hub: FakeHub, collection: Collection, index: Index, where: str
) -> None:
    hub.put(FILE, lora())
    hub.elsewhere = where
    with pytest.raises(HubError, match="which is not encrypted: refused"):
        await pull(hub, collection, index)


async def test_the_token_is_shown_to_the_hub_and_to_nobody_else(
    hub: FakeHub, collection: Collection, index: Index
) -> None:
    hub.put(FILE, lora())
    hub.elsewhere = hub.endpoint.replace("127.0.0.1", "localhost") + f"/blobs/{FILE}"
    await Puller(collection, index, Hub(hub.endpoint, "secret")).pull(Wish(ADDRESS), pause=0.01)
    shown = {("/blobs/" in asked.path): asked.token for asked in hub.asked}
    assert shown == {False: "Bearer secret", True: None}


async def test_a_pickled_file_is_refused_before_it_is_fetched(
    hub: FakeHub, collection: Collection, index: Index, models: Path
) -> None:
    hub.put("ann/styles/old.ckpt", b"PK\x03\x04" + bytes(500_000))
    with pytest.raises(HubError, match=r"a pickled file.*--convert fetches this one"):
        await pull(hub, collection, index, address=Address("ann", "styles", "old.ckpt"))
    assert hub.fetched == ["bytes=0-65535"]
    assert left(models) == []


async def test_a_pickled_file_is_converted_where_that_is_wanted(
    hub: FakeHub, collection: Collection, index: Index, models: Path, tmp_path: Path
) -> None:
    import torch

    weights = {name: torch.ones(shape, dtype=torch.float16) for name, shape in LORA.items()}
    torch.save({"state_dict": weights, "step": 3}, tmp_path / "old.pt")
    hub.put("ann/styles/old.pt", (tmp_path / "old.pt").read_bytes())
    pulled = await pull(hub, collection, index, address=Address("ann", "styles", "old.pt"), convert=True)
    assert pulled.path == models / "loras" / "old.safetensors"
    assert pulled.identity.family == "Stable Diffusion 1.x"
    assert left(models) == ["loras/old.safetensors"]
    hub.put("ann/styles/bad.pt", b"PK\x03\x04" + bytes(100))
    with pytest.raises(ConvertError, match=r"^hf:ann/styles/bad.pt: the archive is cut short or damaged"):
        await pull(hub, collection, index, address=Address("ann", "styles", "bad.pt"), convert=True)
    assert left(models) == ["loras/old.safetensors"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<!DOCTYPE html><html>", "a web page: the download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"", "too few for a safetensors file"),
        (lora()[:-100], "the file ends inside the tensor"),
    ],
)
async def test_what_is_no_model_is_refused_before_it_is_fetched(
    hub: FakeHub, collection: Collection, index: Index, models: Path, data: bytes, words: str
) -> None:
    hub.put(FILE, data)
    with pytest.raises(HubError, match=words):
        await pull(hub, collection, index)
    assert left(models) == []


async def test_a_file_that_cannot_be_told_needs_a_kind(hub: FakeHub, collection: Collection, index: Index) -> None:
    head, data = header_of({"something.else": (3, 5)})
    hub.put(FILE, head + bytes(data))
    with pytest.raises(HubError, match=r"it cannot be told what it is .*--kind says"):
        await pull(hub, collection, index)
    assert (await pull(hub, collection, index, kind="controlnet")).path.parent.name == "controlnet"


async def test_a_header_longer_than_the_first_look_is_read(hub: FakeHub, collection: Collection, index: Index) -> None:
    many = {f"lora_unet_blocks_{number}.lora_{part}.weight": (1, 1) for number in range(900) for part in ("up", "down")}
    head, data = header_of({**LORA, **many})
    assert len(head) > 2**16
    hub.put(FILE, head + bytes(data))
    assert (await pull(hub, collection, index)).identity.tensors == 1802


async def test_a_full_disk_leaves_no_file_under_the_final_name(
    hub: FakeHub, collection: Collection, index: Index, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.put(FILE, lora())
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(HubError, match="are to come, 0 MiB are free"):
        await pull(hub, collection, index)
    assert not (models / "loras" / "lora.safetensors").exists()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of a megabyte, where this user may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1M", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this user may not mount anything")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_disk_that_fills_up_under_it_is_told_and_the_next_call_goes_on(
    hub: FakeHub, small: Path, index: Index
) -> None:
    (small / "loras").mkdir()
    head, data = header_of({**LORA, "lora_unet_x.lora_down.weight": (4, 75_000)})
    whole = hub.put(FILE, head + bytes(data))
    filler = small / "filler"
    hub.on_fetch = partial(filler.write_bytes, bytes(700_000))
    collection = collect((small,), environment={})
    with pytest.raises(HubError, match="the disk is full; make room and pull again"):
        await pull(hub, collection, index)
    assert not (small / "loras" / "lora.safetensors").exists()
    hub.on_fetch = None
    filler.unlink()
    assert (await pull(hub, collection, index)).path.read_bytes() == whole
    assert hub.fetched[-1] not in (None, "bytes=0-")
    assert left(small) == ["loras/lora.safetensors"]


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "a/../../x.safetensors", "C:x.safetensors"])
async def test_a_name_leads_out_of_no_folder(
    hub: FakeHub, collection: Collection, index: Index, models: Path, name: str
) -> None:
    hub.put(FILE, lora())
    with pytest.raises(FolderError, match="is not a name below a folder"):
        await pull(hub, collection, index, name=name)
    assert hub.asked == []


async def test_a_name_that_would_be_hidden_is_refused(hub: FakeHub, collection: Collection, index: Index) -> None:
    hub.put(FILE, lora())
    with pytest.raises(HubError, match="begins with a dot"):
        await pull(hub, collection, index, name="a/.b.safetensors")


async def test_a_place_that_does_not_answer_any_more_is_asked_for_anew(
    hub: FakeHub, collection: Collection, index: Index
) -> None:
    """What the hub sends on to is an address that is good for a while."""
    data = hub.put(FILE, lora())
    hub.elsewhere = hub.endpoint.replace("127.0.0.1", "localhost") + f"/blobs/{FILE}"
    hub.expired = 2
    assert (await pull(hub, collection, index)).path.read_bytes() == data


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

"""Rows 5, 7, 26 to 31 and 42 of the attack list: files whose content is the attack."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from nodegraph.server.keys import HOST
from tests.server.attacks.crafted import REFUSED, STRANGE, bombs, odd, pickles, png
from tests.server.attacks.wire import API, Wire, node
from tests.server.conftest import Shared, in_a_thread, settings_of

FILES = f"{API}/files"
GROWTH = 400 * 2**20
"""Bytes of memory by which the host may grow over all of a test's files: what libraries take, and little else."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a models folder full of hostile files."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "checkpoints").mkdir()
    for kind, files in (("refused", REFUSED), ("strange", STRANGE)):
        for name, data in files.items():
            (folder / "checkpoints" / f"{kind} {name.replace('^', '')}.safetensors").write_bytes(data)
    for name, data in pickles(folder / "canary").items():
        (folder / "checkpoints" / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Shared]:
    yield from in_a_thread(settings_of(tmp_path_factory.mktemp("served") / "data", models=(models,), metadata=False))


def resident(wire: Wire, shared: Shared) -> int:
    """Return the bytes of memory that the host has."""

    async def pid(app: web.Application) -> int | None:
        return app[HOST].pid

    text = Path(f"/proc/{shared.run(pid)}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) * 1024


def load(wire: Wire, name: str) -> Any:
    """Have the worker load a checkpoint; return the job."""
    loader = node("CheckpointLoaderSimple", ckpt_name=name)
    text = node("CLIPTextEncode", {"clip": "load.clip"}, text="x")
    return wire.job({"load": loader, "text": text}, targets=["text"], wait=25)


def checkpoints(wire: Wire) -> list[str]:
    names: list[str] = wire.get(f"{API}/models").json()["models"]["checkpoints"]
    return names


def quoted(name: str) -> str:
    return "".join(f"%{byte:02x}" for byte in name.encode())


@pytest.mark.parametrize(("kind", "rows"), [("refused", "27"), ("strange", "28 29")])
def test_rows27_to_29_weights_with_lying_headers_are_told_as_such(
    wire: Wire, shared: Shared, models: Path, kind: str, rows: str
) -> None:
    names = [name for name in checkpoints(wire) if name.startswith(kind)]
    assert len(names) == len(REFUSED if kind == "refused" else STRANGE)
    wire.get(f"{API}/models/checkpoints/{quoted(names[0])}")
    before = resident(wire, shared)
    for name in names:
        answer = wire.get(f"{API}/models/checkpoints/{quoted(name)}")
        assert answer.status == 200, answer
        problem = answer.json()["problem"]
        assert str(models) not in problem
        assert len(problem) < 2100
        assert "nosniff" in answer.headers["x-content-type-options"]
        assert answer.headers["content-type"].startswith("application/json")
    assert resident(wire, shared) - before < GROWTH
    for name in names:
        job = load(wire, name)
        assert job["state"] == "failed", (name, job)
        assert (job["failure"]["node"], job["attempts"]) == ("load", 1), job
        assert str(models) not in str(job)


def test_row26_pickles_are_never_opened(wire: Wire, models: Path) -> None:
    sent = pickles(models / "canary")
    listed = set(checkpoints(wire))
    asked = 0
    for name in sent:
        answer = wire.get(f"{API}/models/checkpoints/{name}")
        assert answer.status in (200, 404)
        if answer.status == 200:
            assert re.search("safetensors", answer.json()["problem"])
        else:
            assert name not in listed
        job = load(wire, name)
        if "error" not in job:
            assert job["state"] == "failed"
            assert job["failure"]["node"] == "load"
        asked += 1
    assert asked == len(sent)
    assert not (models / "canary").exists()


def send(wire: Wire, data: bytes, name: str = "x.png") -> Any:
    return wire.send("POST", f"{FILES}?name={quoted(name)}", data, ["Content-Type: image/png"], seconds=60)


def test_row30_pictures_that_would_burst_are_refused_when_sent(wire: Wire, shared: Shared) -> None:
    before = resident(wire, shared)
    for name, data in bombs().items():
        answer = send(wire, data)
        assert answer.status == 415, (name, answer)
        assert resident(wire, shared) - before < GROWTH, name
    assert wire.get(FILES).json()["items"][0]["own"] is False  # nothing of it has stayed


def test_row30_pictures_that_are_only_odd_are_taken_and_read(wire: Wire) -> None:
    for name, data in odd().items():
        answer = send(wire, data, f"{name}.png")
        assert answer.status == 201, (name, answer)
        file = answer.json()
        assert wire.get(file["url"]).body == data
        assert wire.get(file["thumbnail"]).headers["content-type"] == "image/webp"
        job = wire.job(
            {"load": node("LoadImage", image=file["name"]), "show": node("PreviewImage", {"images": "load.image"})}
        )
        assert job["state"] == "done", (name, job)
        assert wire.send("DELETE", file["url"]).status == 204


def test_row30_pictures_that_would_burst_burst_no_worker(wire: Wire, shared: Shared) -> None:
    """They did not come through an upload but lie in the folder, as where several programs share it."""
    (shared.data / "input").mkdir(exist_ok=True)
    for number, (name, data) in enumerate(bombs().items()):
        path = shared.data / "input" / f"bomb{number}.png"
        path.write_bytes(data)
        thumbnail = wire.get(f"{FILES}/{path.name}/thumbnail")
        assert thumbnail.status in (200, 415), (name, thumbnail)
        job = wire.job(
            {"load": node("LoadImage", image=path.name), "show": node("PreviewImage", {"images": "load.image"})}
        )
        assert job["state"] in ("failed", "done"), (name, job)
        assert job["attempts"] == 1, (name, job)  # the worker did not die of it
        path.unlink()


def test_row31_what_a_picture_says_of_its_workflow_is_not_read_here(wire: Wire) -> None:
    """A picture's texts are the editor's to read: the server neither parses nor serves them but with the picture."""
    for text in (b"workflow\0" + b"[" * 100_000, b'workflow\0{"title": "<script>alert(1)</script>"}'):
        data = png(16, 16, (b"tEXt", text), data=(b"\0" + bytes(48)) * 16)
        answer = send(wire, data, "said.png")
        assert answer.status == 201
        assert b"script" not in answer.body
        served = wire.get(answer.json()["url"])
        assert (served.headers["content-type"], served.headers["content-security-policy"][:7]) == (
            "image/png",
            "sandbox",
        )
        assert wire.send("DELETE", answer.json()["url"]).status == 204


def test_row7_whatever_is_served_of_a_user_is_never_a_page(wire: Wire, shared: Shared) -> None:
    (shared.data / "input").mkdir(exist_ok=True)
    page = b"<!doctype html><script>alert(1)</script>"
    for name in ("page.png", "page.txt", "page.json", "page.gif"):
        (shared.data / "input" / name).write_bytes(page)
        answer = wire.get(f"{FILES}/{name}")
        assert answer.headers["content-type"].split(";")[0] in ("image/png", "image/gif", "text/plain")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        (shared.data / "input" / name).unlink()
    for name in ("page.html", "page.svg", "page.xhtml", "page.js", "page.pdf", "page"):
        (shared.data / "input" / name).write_bytes(page)
        assert wire.get(f"{FILES}/{name}").status == 404
        (shared.data / "input" / name).unlink()


PREFIXES = [
    "../../escaped", "../escaped", "/tmp/escaped", "a/%date%/../../../escaped", "escaped" * 700, "CON", "a\0b", "a\nb",
    "..", ".", "C:\\escaped", "\\\\host\\escaped", "~/escaped", "link/escaped",
    ".hidden/escaped", "%2e%2e/escaped", "a/" * 400,
]  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES, ids=lambda prefix: f"row5 {prefix!r:.24}")
def test_pictures_are_saved_below_the_output_folder_alone(
    wire: Wire, shared: Shared, tmp_path: Path, prefix: str
) -> None:
    root = shared.data / "output"
    root.mkdir(exist_ok=True)
    if not (root / "link").is_symlink():
        (root / "link").symlink_to(tmp_path)
    save = node("SaveImage", {"images": "load.image"}, filename_prefix=prefix)
    job = wire.job({"load": node("LoadImage", image="example.png"), "save": save})
    if "error" not in job:
        assert job["state"] in ("done", "failed")
        assert (job["state"] == "failed") == (not job["outputs"])
        for output in job["outputs"]:
            assert (root / output["name"]).resolve().is_relative_to(root.resolve())
            assert not (root / output["name"]).resolve().is_relative_to(tmp_path.resolve())
    elsewhere = (Path("/tmp"), Path.home(), Path.cwd(), tmp_path, shared.data, *list(shared.data.parents)[:3])
    assert [path for folder in elsewhere for path in folder.glob("*escaped*")] == []


def test_row42_without_metadata_a_picture_holds_nothing(wire: Wire) -> None:
    save = node("SaveImage", {"images": "load.image"}, filename_prefix="bare")
    job = wire.job({"load": node("LoadImage", image="example.png"), "save": save}, wait=25)
    assert job["state"] == "done", job
    with Image.open(io.BytesIO(wire.get(job["outputs"][0]["url"]).body)) as found:
        assert found.info == {}

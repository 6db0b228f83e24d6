"""Uploads: what is taken, under which name, and that nothing of the rest stays."""

from __future__ import annotations

import asyncio
import errno
import io
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from PIL import Image

from nodegraph.server.settings import Limits

FILES = "/api/v1/files"
Client = aiohttp.ClientSession


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


async def send(client: Client, data: bytes, name: str | None = None, filename: str | None = None) -> tuple[int, Any]:
    """Send a file as it is, or in a form where it has a `filename`; return status and JSON."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", data, filename=filename or "file")
    params = {} if name is None else {"name": name}
    async with client.post(FILES, params=params, data=data if filename is None else form) as response:
        return response.status, await response.json()


def everything(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


async def test_a_picture_is_kept_under_its_name_and_given_back(client: Client, picture: Picture, shared: Any) -> None:
    data = picture()
    status, file = await send(client, data, filename="größe 1.png")
    assert (status, file["name"], file["media"], file["size"]) == (201, "größe 1.png", "image/png", len(data))
    assert (shared.data / "input" / "größe 1.png").read_bytes() == data
    async with client.get(file["url"]) as response:
        assert await response.read() == data
        assert response.content_type == "image/png"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
        assert "filename*=UTF-8''gr%C3%B6%C3%9Fe%201.png" in response.headers["Content-Disposition"]


@pytest.mark.parametrize("parent", ["/".join("d" * 16), "/".join(["d" * 200] * 5)])
async def test_a_folder_whose_files_nobody_could_name_is_refused(client: Client, shared: Any, parent: str) -> None:
    status, answer = await send(client, b"text", f"{parent}/{'x' * 20}.txt")
    assert (status, answer["error"]["code"]) == (400, "bad_name")
    deepest, _, _ = parent.rpartition("/")
    status, file = await send(client, b"text", f"{deepest}/x.txt")
    assert status == 201
    async with client.get(file["url"]) as response:
        assert response.status == 200
    async with client.delete(file["url"]) as response:
        assert response.status == 204


async def test_the_same_file_is_kept_once_and_another_gets_a_number(client: Client, picture: Picture) -> None:
    assert (await send(client, picture(), "twice/x.png"))[0] == 201
    status, file = await send(client, picture(), "twice/x.png")
    assert (status, file["name"]) == (200, "twice/x.png")
    status, file = await send(client, picture(color="blue"), "twice/x.png")
    assert (status, file["name"]) == (201, "twice/x (1).png")
    status, file = await send(client, picture(color="blue"), "twice/x.png")
    assert (status, file["name"]) == (200, "twice/x (1).png")


async def test_files_of_one_name_sent_at_once_all_stay(client: Client, picture: Picture) -> None:
    colors = ["red", "blue", "green", "white", "black", "pink"]
    sent = await asyncio.gather(*(send(client, picture(color=color), "storm.png") for color in colors))
    assert {status for status, _ in sent} == {201}
    assert len({file["name"] for _, file in sent}) == len(colors)


@pytest.mark.parametrize(
    ("filename", "kept"),
    [
        ("../../up.png", "up.png"),
        ("..\\..\\back.png", "back.png"),
        (".htaccess", "htaccess.png"),
        ("code.py", "code.py.png"),
        ("wrong.jpg", "wrong.png"),
        ("camera.PNG", "camera.PNG"),
        ("con.png", "_con.png"),
        ("gnp\u202eexe.png", "gnp_exe.png"),
        ("a%0d%0aSet-Cookie: x.png", "a__Set-Cookie_ x.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("🎨.png", "🎨.png"),
    ],
)
async def test_a_senders_name_is_made_safe(
    client: Client, picture: Picture, shared: Any, filename: str, kept: str
) -> None:
    outside = everything(shared.data) - {f"input/{name}" for name in everything(shared.data / "input")}
    status, file = await send(client, picture(), filename=filename)
    assert (status, file["name"]) == (201, kept)
    assert (shared.data / "input" / kept).is_file()
    assert {name for name in everything(shared.data) if not name.startswith("input/")} <= outside | {"nodegraph.db-wal"}


@pytest.mark.parametrize("name", ["../x/y.png", "/etc/y.png", "a/../../y.png", "C:/y.png", ".git/y.png", "con/y.png"])
async def test_a_folder_that_leads_out_is_refused(client: Client, picture: Picture, name: str) -> None:
    status, answer = await send(client, picture(), name)
    assert (status, answer["error"]["code"]) == (400, "bad_name")


async def test_a_folder_that_is_a_link_out_is_refused(
    client: Client, picture: Picture, shared: Any, tmp_path: Path
) -> None:
    (shared.data / "input").mkdir(exist_ok=True)
    (shared.data / "input" / "link").symlink_to(tmp_path)
    status, answer = await send(client, picture(), "link/y.png")
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert everything(tmp_path) == set()


def bomb() -> bytes:
    """Return a PNG that claims 60000 x 60000 pixels."""
    data = io.BytesIO()
    Image.new("1", (8, 8)).save(data, "PNG")
    head = bytearray(data.getvalue())
    head[16:24] = (60000).to_bytes(4, "big") * 2
    head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")
    return bytes(head)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    "data",
    [SVG, b"<html><script>1</script>", b"%PDF-1.7\n", b"alert(1)", b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", bomb()],
    ids=["svg", "html", "pdf", "js", "empty", "cut", "zip", "bomb"],
)
@pytest.mark.parametrize("name", ["x.png", "x.svg", "x"])
async def test_what_is_no_picture_is_refused_by_its_content(
    client: Client, shared: Any, data: bytes, name: str
) -> None:
    before = everything(shared.data / "input")
    status, answer = await send(client, data, filename=name)
    assert status == 415, answer
    assert str(shared.data) not in str(answer)
    assert everything(shared.data / "input") == before


async def test_a_picture_with_a_page_behind_it_is_refused(client: Client, picture: Picture) -> None:
    status, _ = await send(client, picture() + b"<html><script>alert(1)</script></html>", filename="x.png")
    assert status == 415


async def test_texts_are_kept_and_never_shown_as_pages(client: Client) -> None:
    text = "<html>ä\n".encode()
    status, file = await send(client, text, "prompts.csv")
    assert (status, file["media"]) == (201, "text/plain")
    async with client.get(file["url"]) as response:
        assert await response.read() == text
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Content-Disposition"].startswith("attachment;")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"a\0b", b"\xc3"])
async def test_what_is_no_text_is_refused(client: Client, data: bytes) -> None:
    status, answer = await send(client, data, "prompts.txt")
    assert (status, answer["error"]["code"]) == (415, "not_text")


async def test_a_form_of_another_shape_is_refused(client: Client) -> None:
    for form in (aiohttp.FormData({"text": "x"}), aiohttp.FormData({"other": io.BytesIO(b"x")})):
        form._is_multipart = True
        async with client.post(FILES, data=form) as response:
            assert response.status == 400
            assert (await response.json())["error"]["code"] == "bad_form"
    headers = {"Content-Type": "multipart/form-data"}
    async with client.post(FILES, data=b"no boundary", headers=headers) as response:
        assert response.status == 400


async def test_an_upload_beyond_the_limit_leaves_nothing(serve: Any, picture: Picture) -> None:
    served = await serve(limits=Limits(upload=20_000))

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 8192

    for data in (b"x" * 20_001, b"x" * 200_000):
        await served.json("POST", f"{FILES}?name=x.png", 413, data=data)
    try:
        async with served.session.post(f"{served.url}{FILES}?name=x.png", data=endless()) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:  # the server may hang up on who goes on sending
        pass
    assert everything(served.settings.data / "input") == set()
    file = await served.json("POST", f"{FILES}?name=x.png", 201, data=picture())
    assert file["name"] == "x.png"


async def test_an_upload_that_breaks_off_leaves_nothing(shared: Any) -> None:
    before = everything(shared.data / "input")
    _, writer = await asyncio.open_connection("127.0.0.1", shared.port)
    head = f"POST {FILES}?name=x.png HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\nContent-Length: 200000\r\n"
    writer.write(f"{head}Authorization: {shared.headers['Authorization']}\r\n\r\n".encode() + b"x" * 100_000)
    await writer.drain()
    async with asyncio.timeout(20):
        while everything(shared.data / "input") == before:
            await asyncio.sleep(0.01)
        writer.close()
        await writer.wait_closed()
        while everything(shared.data / "input") != before:
            await asyncio.sleep(0.01)


async def test_a_full_disk_is_told_and_leaves_nothing(
    served: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", full)
        answer = await served.json("POST", f"{FILES}?name=x.png", 507, data=picture())
    assert answer["error"]["code"] == "disk_full"
    assert everything(served.settings.data / "input") == set()
    await served.json("POST", f"{FILES}?name=x.png", 201, data=picture())

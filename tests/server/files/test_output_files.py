"""Outputs by their ids: the right bytes with the right headers, for those whose they are, and nothing else."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
from PIL import Image

from nodegraph.server.records import Output

OUTPUTS = "/api/v1/outputs"
Client = aiohttp.ClientSession


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


class MakeOutput(Protocol):
    def __call__(self, name: str, data: bytes, media: str, *, user: str = "owner", settled: bool = True) -> Output: ...


async def test_an_output_is_sent_whole_with_its_type(client: Client, make_output: MakeOutput, picture: Picture) -> None:
    data = picture()
    output = make_output("a/x_00001_.png", data, "image/png")
    async with client.get(f"{OUTPUTS}/{output.id}") as response:
        assert await response.read() == data
        assert response.headers["Content-Type"] == "image/png"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert response.headers["Content-Disposition"].startswith('inline; filename="x_00001_.png"')
        assert response.headers["Cache-Control"] == "private, no-cache"
    async with client.get(f"{OUTPUTS}/{output.id}", params={"download": "true"}) as response:
        assert response.headers["Content-Disposition"].startswith("attachment;")


async def test_an_unchanged_output_is_not_sent_again(
    client: Client, make_output: MakeOutput, picture: Picture, shared: Any
) -> None:
    output = make_output("etag.png", picture(), "image/png")
    async with client.get(f"{OUTPUTS}/{output.id}") as response:
        etag = response.headers["ETag"]
    async with client.get(f"{OUTPUTS}/{output.id}", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
        assert await response.read() == b""
    path = shared.data / "output" / "etag.png"
    path.write_bytes(picture(color="blue"))
    os.utime(path, (1, 1))
    async with client.get(f"{OUTPUTS}/{output.id}", headers={"If-None-Match": etag}) as response:
        assert response.status == 200
        assert await response.read() == picture(color="blue")


async def test_parts_of_an_output_are_sent(client: Client, make_output: MakeOutput) -> None:
    data = bytes(range(256))
    url = f"{OUTPUTS}/{make_output('data.bin', data, 'application/x-anything').id}"
    for asked, told, part in (
        ("bytes=0-9", "bytes 0-9/256", data[:10]),
        ("bytes=250-", "bytes 250-255/256", data[250:]),
        ("bytes=-6", "bytes 250-255/256", data[250:]),
    ):
        async with client.get(url, headers={"Range": asked}) as response:
            assert (response.status, response.headers["Content-Range"]) == (206, told)
            assert await response.read() == part
            etag = response.headers["ETag"]
    for asked in ("bytes=256-", "bytes=9-1", "bytes=x"):
        async with client.get(url, headers={"Range": asked}) as response:
            assert response.status == 416
    for since, status in ((etag, 206), ('"another"', 200), ('W/"weak"', 200)):
        async with client.get(url, headers={"Range": "bytes=0-9", "If-Range": since}) as response:
            assert response.status == status


@pytest.mark.parametrize(
    ("name", "media", "sent"),
    [
        ("page.html", "text/html", "application/octet-stream"),
        ("drawing.svg", "image/svg+xml", "application/octet-stream"),
        ("x.xhtml", "application/xhtml+xml", "application/octet-stream"),
        ("model.safetensors", "application/octet-stream", "application/octet-stream"),
        ("words.txt", "text/plain", "text/plain; charset=utf-8"),
        ("clip.mp4", "video/mp4", "video/mp4"),
        ("scan.tif", "image/tiff", "image/tiff"),
    ],
)
async def test_what_no_browser_shall_show_is_saved(
    client: Client, make_output: MakeOutput, name: str, media: str, sent: str
) -> None:
    output = make_output(name, b"<script>alert(1)</script>", media)
    async with client.get(f"{OUTPUTS}/{output.id}") as response:
        assert response.headers["Content-Type"] == sent
        assert response.headers["Content-Disposition"].startswith("attachment;")
        assert response.headers["Content-Security-Policy"].startswith("sandbox")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_compressed_file_beside_it_is_another_file(
    client: Client, make_output: MakeOutput, shared: Any
) -> None:
    output = make_output("beside.txt", b"itself", "text/plain")
    (shared.data / "output" / "beside.txt.gz").write_bytes(b"other")
    async with client.get(f"{OUTPUTS}/{output.id}", headers={"Accept-Encoding": "gzip"}) as response:
        assert await response.read() == b"itself"
        assert "Content-Encoding" not in response.headers


async def test_a_thumbnail_of_an_output(client: Client, make_output: MakeOutput, picture: Picture) -> None:
    output = make_output("wide.png", picture(size=(600, 300)), "image/png")
    async with client.get(f"{OUTPUTS}/{output.id}/thumbnail", params={"size": 64}) as response:
        assert response.content_type == "image/webp"
        assert Image.open(io.BytesIO(await response.read())).size == (64, 32)
    text = make_output("not.png", b"no picture", "image/png")
    async with client.get(f"{OUTPUTS}/{text.id}/thumbnail") as response:
        assert response.status == 415


async def test_outputs_are_listed_newest_first(client: Client, make_output: MakeOutput, picture: Picture) -> None:
    made = [make_output(f"list_{number}.png", picture(), "image/png") for number in range(3)]
    make_output("list_on_its_way.png", b"", "image/png", settled=False)
    async with client.get(OUTPUTS, params={"limit": 2}) as response:
        page = await response.json()
    assert [item["id"] for item in page["items"]] == [made[2].id, made[1].id]
    async with client.get(OUTPUTS, params={"limit": 1, "cursor": page["cursor"]}) as response:
        assert [item["id"] for item in (await response.json())["items"]] == [made[0].id]
    async with client.get(OUTPUTS, params={"job": made[1].job}) as response:
        (item,) = (await response.json())["items"]
    assert item["url"] == f"{OUTPUTS}/{made[1].id}"
    async with client.get(item["thumbnail"]) as response:
        assert response.status == 200


async def test_what_is_another_users_looks_as_if_it_was_not_there(
    client: Client, ada: Client, make_output: MakeOutput, picture: Picture
) -> None:
    hers = make_output("hers.png", picture(), "image/png", user="ada")
    mine = make_output("mine.png", picture(), "image/png")
    waiting = make_output("waiting.png", b"", "image/png", user="ada", settled=False)
    for id in (mine.id, waiting.id, "nothing", "../../x", "x" * 500):
        for tail in ("", "/thumbnail"):
            async with ada.get(f"{OUTPUTS}/{id}{tail}") as response:
                assert response.status == 404
        async with ada.delete(f"{OUTPUTS}/{id}") as response:
            assert response.status in (404, 405)  # some of these lead to where there are pages
    for who in (ada, client):
        async with who.get(f"{OUTPUTS}/{hers.id}") as response:
            assert response.status == 200
    async with ada.get(OUTPUTS) as response:
        assert {item["id"] for item in (await response.json())["items"]} == {hers.id}
    async with ada.get(OUTPUTS, params={"user": "owner"}) as response:
        assert response.status == 403
    async with client.get(OUTPUTS, params={"user": "ada"}) as response:
        assert [item["id"] for item in (await response.json())["items"]] == [hers.id]


async def test_a_file_that_was_taken_away_is_told_as_gone(
    client: Client, make_output: MakeOutput, picture: Picture, shared: Any, tmp_path: Path
) -> None:
    output = make_output("taken.png", picture(), "image/png")
    path = shared.data / "output" / "taken.png"
    path.rename(tmp_path / "elsewhere.png")
    for tail in ("", "/thumbnail"):
        async with client.get(f"{OUTPUTS}/{output.id}{tail}") as response:
            assert response.status == 410
            assert (await response.json())["error"]["code"] == "gone"
    path.symlink_to(tmp_path / "elsewhere.png")
    async with client.get(f"{OUTPUTS}/{output.id}") as response:
        assert response.status == 410


async def test_an_output_is_removed_with_all_that_is_made_of_it(
    client: Client, make_output: MakeOutput, picture: Picture, shared: Any
) -> None:
    output = make_output("removed.png", picture(), "image/png")
    async with client.get(f"{OUTPUTS}/{output.id}/thumbnail") as response:
        assert response.status == 200
    before = set((shared.data / "thumbnails" / "outputs").iterdir())
    async with client.delete(f"{OUTPUTS}/{output.id}") as response:
        assert response.status == 204
    assert not (shared.data / "output" / "removed.png").exists()
    assert len(before - set((shared.data / "thumbnails" / "outputs").iterdir())) == 1
    for method in ("GET", "DELETE"):
        async with client.request(method, f"{OUTPUTS}/{output.id}") as response:
            assert response.status == 404

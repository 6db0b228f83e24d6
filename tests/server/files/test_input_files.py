"""Files that are there: listed, sent, shown small, removed; nothing outside the folders is reached."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
import yarl
from PIL import Image

FILES = "/api/v1/files"
Client = aiohttp.ClientSession


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


async def put(client: Client, name: str, data: bytes) -> str:
    """Send a file and return the name it has now."""
    async with client.post(FILES, params={"name": name}, data=data) as response:
        assert response.status in (200, 201)
        return str((await response.json())["name"])


async def names(client: Client, **params: Any) -> list[str]:
    async with client.get(FILES, params=params) as response:
        return [file["name"] for file in (await response.json())["items"]]


async def test_files_are_listed_by_name_part_by_part(client: Client, picture: Picture) -> None:
    for name in ("list/B.png", "list/a.png", "list/c.txt"):
        await put(client, name, b"x" if name.endswith("txt") else picture())
    assert await names(client, text="LIST/") == ["list/a.png", "list/B.png", "list/c.txt"]
    found, cursor = [], None
    while True:
        params: dict[str, Any] = {"limit": 1, "text": "list/"} | ({"cursor": cursor} if cursor else {})
        async with client.get(FILES, params=params) as response:
            page = await response.json()
        found += [file["name"] for file in page["items"]]
        if (cursor := page.get("cursor")) is None:
            break
    assert found == ["list/a.png", "list/B.png", "list/c.txt"]


async def test_what_comes_with_nodegraph_is_listed_but_not_removed(client: Client) -> None:
    async with client.get(FILES, params={"text": "example.png"}) as response:
        (file,) = (await response.json())["items"]
    assert (file["name"], file["own"]) == ("example.png", False)
    async with client.delete(file["url"]) as response:
        assert response.status == 403
    async with client.get(file["url"]) as response:
        assert response.status == 200


async def test_users_have_files_of_their_own(client: Client, ada: Client, picture: Picture, shared: Any) -> None:
    await put(client, "mine.png", picture())
    assert "mine.png" not in await names(ada)
    for method in ("GET", "DELETE"):
        async with ada.request(method, f"{FILES}/mine.png") as response:
            assert response.status == 404
    assert await put(ada, "hers.png", picture()) == "hers.png"
    assert (shared.data / "users" / "ada" / "input" / "hers.png").is_file()
    assert "hers.png" not in await names(client)


async def test_a_file_is_removed_with_its_thumbnails(client: Client, picture: Picture, shared: Any) -> None:
    before = set((shared.data / "thumbnails").rglob("*.webp"))
    await put(client, "gone.png", picture())
    async with client.get(f"{FILES}/gone.png/thumbnail") as response:
        assert response.status == 200
    assert set((shared.data / "thumbnails").rglob("*.webp")) > before
    async with client.delete(f"{FILES}/gone.png") as response:
        assert response.status == 204
    assert set((shared.data / "thumbnails").rglob("*.webp")) == before
    for path in ("gone.png", "gone.png/thumbnail"):
        async with client.get(f"{FILES}/{path}") as response:
            assert response.status == 404


async def test_a_thumbnail_is_a_small_webp_and_follows_its_file(client: Client, picture: Picture, shared: Any) -> None:
    await put(client, "big.png", picture(size=(400, 200)))
    seen = []
    for size, edge in ((100, 128), (256, 256), (128, 128)):
        async with client.get(f"{FILES}/big.png/thumbnail", params={"size": size}) as response:
            assert response.content_type == "image/webp"
            seen.append(await response.read())
            assert Image.open(io.BytesIO(seen[-1])).size == (edge, edge // 2)
    assert seen[0] == seen[2]
    (shared.data / "input" / "big.png").write_bytes(picture(size=(200, 400)))
    async with client.get(f"{FILES}/big.png/thumbnail", params={"size": 128}) as response:
        assert Image.open(io.BytesIO(await response.read())).size == (64, 128)
    for wrong in ("0", "5000", "x"):
        async with client.get(f"{FILES}/big.png/thumbnail", params={"size": wrong}) as response:
            assert response.status == 422


async def test_a_text_has_no_thumbnail(client: Client) -> None:
    await put(client, "no.txt", b"x")
    async with client.get(f"{FILES}/no.txt/thumbnail") as response:
        assert response.status == 415


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png", "..%2fsecret.png", "%2e%2e%2fsecret.png", "%2e%2e/secret.png", "%252e%252e%252fsecret.png",
        "..%5csecret.png", "..%5C..%5Csecret.png", "%2fetc%2fpasswd", "/etc/passwd", "a%00.png", "C%3a%5cx.png",
        "%5c%5chost%5cshare%5cx.png", "../input2/secret.png", "..%2finput2%2fsecret.png", "link/secret.png",
        "link.png", ".hidden.png", "loop.png", "folder", "x" * 5000, "%ff%fe.png", "secret.py",
    ],
)  # fmt: skip
@pytest.mark.parametrize("tail", ["", "/thumbnail"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_nothing_outside_is_reached(
    client: Client, shared: Any, picture: Picture, method: str, path: str, tail: str
) -> None:
    folder = shared.data / "input"
    (folder / "folder").mkdir(parents=True, exist_ok=True)
    (shared.data / "input2").mkdir(exist_ok=True)
    secrets = [
        shared.data / name for name in ("secret.png", "input2/secret.png", "input/.hidden.png", "input/secret.py")
    ]
    for secret in secrets:
        secret.write_bytes(picture())
    for name, target in (("link", shared.data), ("link.png", secrets[0]), ("loop.png", folder / "loop.png")):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(target)
    url = yarl.URL(f"{shared.url}{FILES}/{path}{tail}", encoded=True)
    async with client.request(method, url) as response:
        text = await response.text()
        assert response.status in (400, 404, 405), text
        assert str(shared.data) not in text
        assert "root:" not in text
    assert all(secret.is_file() for secret in secrets)


async def test_links_that_leave_are_not_listed(client: Client, shared: Any, tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "other.png").write_bytes(picture())
    (shared.data / "input").mkdir(exist_ok=True)
    (shared.data / "input" / "out").symlink_to(tmp_path)
    (shared.data / "input" / "out.png").symlink_to(tmp_path / "other.png")
    assert not [name for name in await names(client) if name.startswith("out")]

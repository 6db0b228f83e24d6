"""Names in headers, and thumbnails within their bound."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.errors import ApiError
from nodegraph.server.files.serving import disposition, media_of
from nodegraph.server.files.thumbnails import Thumbnails
from nodegraph.server.host import Host
from nodegraph.server.settings import Settings


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


@given(st.text(alphabet=st.characters(), max_size=100))
def test_no_name_ends_a_header_or_begins_another(name: str) -> None:
    text = disposition(name, attachment=True)
    assert re.fullmatch(r"attachment; filename=\"[^\"\\\x00-\x1f\x7f-\U0010ffff]+\"; filename\*=UTF-8''[\w.~%-]+", text)


def test_a_name_is_told_in_both_forms() -> None:
    assert disposition('a/b "ü".png', attachment=False) == (
        "inline; filename=\"b ____.png\"; filename*=UTF-8''b%20%22%C3%BC%22.png"
    ).replace("____", "___")


def test_types_come_from_a_fixed_list() -> None:
    assert media_of("X.PNG") == "image/png"
    assert media_of("x.json") == "text/plain"
    for name in ("x.svg", "x.html", "x", "x.js", "x.pdf", "x.png.html"):
        assert media_of(name) == "application/octet-stream"


@pytest.fixture
async def host(tmp_path: Path) -> Host:
    return Host(Settings(data=tmp_path / "data"), lambda: None)


async def test_thumbnails_keep_within_their_room(tmp_path: Path, host: Host, picture: Picture) -> None:
    source, folder = tmp_path / "x.png", tmp_path / "thumbnails"
    source.write_bytes(picture(size=(300, 300)))
    await host.start()
    try:
        size = (await Thumbnails(folder, host).get(source, "first", 256)).stat().st_size
        kept = Thumbnails(folder, host, room=size * 8)
        for number in range(20):
            path = await kept.get(source, f"key{number}", 256)
            assert path.is_file()
            assert sum(file.stat().st_size for file in folder.iterdir()) <= size * 8
        same = await asyncio.gather(*(kept.get(source, "at once", 256) for _ in range(10)))
        assert len(set(same)) == 1
        with pytest.raises(ApiError) as caught:
            await kept.get(tmp_path / "missing.png", "x", 64)
        assert caught.value.status == 404
    finally:
        await host.stop()

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from nodegraph.workers.pictures import RefusedError, inspect, thumbnail

PIXELS, FRAMES = 10_000, 5


def saved(path: Path, kind: str, **options: object) -> Path:
    Image.new("RGB", (40, 20), (200, 10, 10)).save(path, format=kind, **options)
    return path


@pytest.mark.parametrize(
    ("kind", "media", "suffix"),
    [
        ("PNG", "image/png", ".png"),
        ("JPEG", "image/jpeg", ".jpg"),
        ("WEBP", "image/webp", ".webp"),
        ("GIF", "image/gif", ".gif"),
        ("BMP", "image/bmp", ".bmp"),
        ("TIFF", "image/tiff", ".tif"),
    ],
)
def test_the_content_tells_what_a_picture_is_not_the_name(tmp_path: Path, kind: str, media: str, suffix: str) -> None:
    found = inspect(saved(tmp_path / "x.txt", kind), pixels=PIXELS, frames=FRAMES)
    assert found == {"media": media, "width": 40, "height": 20, "frames": 1, "suffix": suffix}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("more", [b"<html><script>alert(1)</script>", b"PK\x03\x04archive", b"%PDF-1.4"])
def test_a_picture_with_something_behind_it_is_refused(tmp_path: Path, kind: str, more: bytes) -> None:
    path = saved(tmp_path / "x.png", kind)
    path.write_bytes(path.read_bytes() + more)
    with pytest.raises(RefusedError, match="goes on after"):
        inspect(path, pixels=PIXELS, frames=FRAMES)


def test_what_a_camera_writes_behind_a_jpeg_is_let_pass(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.jpg", "JPEG", progressive=True)
    path.write_bytes(path.read_bytes() + b"\0\0SEFH\x01\x02 of a camera")
    assert inspect(path, pixels=PIXELS, frames=FRAMES)["media"] == "image/jpeg"


@pytest.mark.parametrize(
    "content",
    [b"", b"<html></html>", b'<svg xmlns="http://www.w3.org/2000/svg"/>', b"%PDF-1.4", b"\x89PNG\r\n\x1a\n", b"GIF89a"],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(RefusedError):
        inspect(path, pixels=PIXELS, frames=FRAMES)
    with pytest.raises(RefusedError):
        thumbnail(path, 64)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_picture_that_is_cut_off_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    Image.effect_noise((90, 90), 80).convert("RGB").save(path, format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RefusedError, match=r"damaged|not a picture"):
        inspect(path, pixels=PIXELS, frames=FRAMES)


def test_size_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    with pytest.raises(RefusedError, match="65535 x 65535"):
        inspect(path, pixels=PIXELS, frames=FRAMES)
    with pytest.raises(RefusedError, match="too many"):
        thumbnail(path, 64)


def test_a_text_chunk_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    target = io.BytesIO()
    Image.new("RGB", (4, 4)).save(target, format="PNG")
    data = target.getvalue()
    text = b"Comment\0\0" + zlib.compress(b"a" * (80 * 2**20))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    path = tmp_path / "x.png"
    path.write_bytes(data[:33] + chunk + data[33:])
    with pytest.raises(RefusedError):
        inspect(path, pixels=PIXELS, frames=FRAMES)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_frames_are_counted(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), (index * 20, 0, 0)) for index in range(6)]
    path = tmp_path / "x"
    frames[0].save(path, format=kind, save_all=True, append_images=frames[1:])
    assert inspect(path, pixels=PIXELS, frames=6)["frames"] == 6
    with pytest.raises(RefusedError, match="6 frames"):
        inspect(path, pixels=PIXELS, frames=5)
    with pytest.raises(RefusedError, match="in 6 frames"):
        inspect(path, pixels=8 * 8 * 6 - 1, frames=6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "CMYK", "1", "I;16", "I", "F"])
def test_a_thumbnail_fits_its_square(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.tif"
    Image.new(mode, (100, 50)).save(path, format="TIFF")
    with Image.open(io.BytesIO(thumbnail(path, 32))) as small:
        assert (small.format, small.size) == ("WEBP", (32, 16))


def test_a_thumbnail_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "x.jpg", "JPEG", exif=exif)
    with Image.open(io.BytesIO(thumbnail(path, 16))) as small:
        assert small.size == (8, 16)

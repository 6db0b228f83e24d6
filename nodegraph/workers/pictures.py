"""Pictures that nobody vouches for: what they are, and small ones of them. Read in the host, never in the front.

A file is a picture where all of it decodes and nothing follows its end: a picture with a page, a script or an archive
behind it is refused rather than cut, so that what was uploaded is what is kept. Cameras write data of their own behind
a JPEG; that is let pass unless it looks like one of those.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
from pathlib import Path
from typing import Any, Final

MEDIA: Final = {
    "PNG": ("image/png", ".png"),
    "JPEG": ("image/jpeg", ".jpg"),
    "WEBP": ("image/webp", ".webp"),
    "GIF": ("image/gif", ".gif"),
    "BMP": ("image/bmp", ".bmp"),
    "TIFF": ("image/tiff", ".tif"),
}
LARGEST_THUMBNAIL: Final = 1024
MOST_PIXELS: Final = 256 * 2**20
"""Of a picture that a thumbnail is made of: it was made here, or checked when it came."""
_FOREIGN: Final = re.compile(rb"<(?:!doctype|html|script|svg|body|iframe|\?xml|\?php)|%PDF-|PK\x03\x04", re.IGNORECASE)
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


class RefusedError(ValueError):
    """A file that is no picture, or one that is not taken; the text is for users and holds no path."""


def inspect(path: Path, *, pixels: int, frames: int) -> dict[str, Any]:
    """Say what a picture is; raise `RefusedError` for what is none, damaged, too large or more than a picture."""
    data = path.read_bytes()
    file = _open(data)
    count = int(getattr(file, "n_frames", 1))
    if count > frames:
        raise RefusedError(f"the picture has {count} frames; at most {frames} are taken")
    if math.prod(file.size) * count > pixels:
        shown = f"{file.size[0]} x {file.size[1]}" + (f" in {count} frames" if count > 1 else "")
        raise RefusedError(f"the picture has {shown}; at most {pixels:,} pixels in all are taken")
    try:
        for index in range(count):
            file.seek(index)
            file.load()
    except Exception as error:  # on damaged files Pillow's decoders raise anything
        raise RefusedError(f"the picture is damaged or cut off ({type(error).__name__})") from error
    kind = str(file.format)
    _refuse_more(kind, data)
    media, suffix = MEDIA[kind]
    return {"media": media, "width": file.size[0], "height": file.size[1], "frames": count, "suffix": suffix}


def thumbnail(path: Path, size: int) -> bytes:
    """Return the first frame, turned as its EXIF orientation says, as WebP within a square; or raise `RefusedError`."""
    from PIL import Image, ImageOps

    edge = max(16, min(size, LARGEST_THUMBNAIL))
    file = _open(path.read_bytes())
    if math.prod(file.size) > MOST_PIXELS:
        raise RefusedError(f"the picture has {file.size[0]} x {file.size[1]} pixels, too many for a thumbnail")
    try:
        file.draft("RGB", (edge * 2, edge * 2))
        picture = ImageOps.exif_transpose(file)
        if picture.mode.startswith("I"):
            picture = picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
        alpha = "A" in picture.mode or "transparency" in picture.info
        picture = picture.convert("RGBA" if alpha else "RGB")
        picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
        target = io.BytesIO()
        picture.save(target, format="WEBP", quality=80, method=4)
    except Exception as error:
        raise RefusedError(f"the picture is damaged or cut off ({type(error).__name__})") from error
    return target.getvalue()


def _open(data: bytes) -> Any:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # our own limits hold, and name themselves
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(io.BytesIO(data), formats=list(MEDIA))
        except Exception as error:
            raise RefusedError(f"not a picture of a known kind ({', '.join(MEDIA)})") from error


def _refuse_more(kind: str, data: bytes) -> None:
    """Raise where a file goes on after its picture has ended."""
    end = _end(kind, data)
    rest = data[end:] if end is not None else b""
    if rest.strip(b"\0\r\n ") and (kind != "JPEG" or _FOREIGN.search(rest)):
        raise RefusedError(f"the file goes on after the picture's end ({len(rest)} bytes): not a picture alone")


def _end(kind: str, data: bytes) -> int | None:
    """Return where a picture ends in its file, None where its kind does not tell."""
    if kind == "PNG":
        return _end_of_png(data)
    if kind == "JPEG":
        return _end_of_jpeg(data)
    if kind == "WEBP":
        size: int = struct.unpack_from("<I", data, 4)[0]
        return 8 + size + size % 2
    if kind == "GIF":
        return _end_of_gif(data)
    if kind == "BMP":
        length: int = struct.unpack_from("<I", data, 2)[0]
        return length or None
    return None


def _end_of_png(data: bytes) -> int:
    at = 8
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        at = int(at + 12 + length)
        if name == b"IEND":
            return at
    return len(data)


def _end_of_jpeg(data: bytes) -> int:
    at = 2
    while True:
        match = _MARKER.search(data, at)
        if match is None or match.end() + 2 > len(data):
            return len(data) if match is None else match.end()
        if data[match.start() + 1] == 0xD9:
            return match.end()
        at = match.end() + struct.unpack_from(">H", data, match.end())[0]


def _end_of_gif(data: bytes) -> int:
    flags = data[10]
    at = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0)
    while at < len(data):
        block = data[at]
        if block == 0x3B:
            return at + 1
        if block == 0x2C and at + 9 < len(data):
            flags = data[at + 9]
            at += 10 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0) + 1
        elif block == 0x21:
            at += 2
        else:
            return at
        while at < len(data) and data[at]:  # sub-blocks up to an empty one
            at += 1 + data[at]
        at += 1
    return len(data)

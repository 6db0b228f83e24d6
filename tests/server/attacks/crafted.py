"""Files from somebody who means harm: weights with lying headers, pickles that run code, pictures that burst."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

Json = Any


class RunsCode:
    """Unpickling it makes a file: the canary that tells that code ran."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.canary,)


def weights(header: Json, data: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a safetensors file; `header`: JSON, or bytes as they are; `length`: what it says of its header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(begin: int, end: int, shape: list[Any] | None = None, dtype: Any = "F32") -> dict[str, Json]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


BYTES = bytes(32)
REFUSED: Mapping[str, bytes] = {
    "header over 100 MB": weights(b"{" + b" " * 40, length=100_000_001),
    "header of 2^63": weights(b"{}", length=2**63),
    "header of 2^64-1": weights(b"{}", length=2**64 - 1),
    "header longer than the file": weights(b'{"a":', length=5000),
    "99 MB of header said": weights(b"{" + b" " * 40, length=99_000_000),
    "empty": b"",
    "seven bytes": b"\0" * 7,
    "no header": weights(b"", BYTES),
    "not JSON": weights(b"{nonsense}"),
    "a list": weights([1, 2]),
    "a number": weights(b"5"),
    "an overlap": weights({"a": tensor(0, 16), "b": tensor(0, 16)}, bytes(16)),
    "part of an overlap": weights({"a": tensor(0, 16), "b": tensor(8, 24)}, bytes(24)),
    "a hole": weights({"a": tensor(0, 8), "b": tensor(16, 24)}, bytes(24)),
    "trailing bytes": weights({"a": tensor(0, 8)}, bytes(24)),
    "past the end": weights({"a": tensor(0, 64)}, BYTES),
    "end before begin": weights({"a": tensor(16, 8, [2])}, BYTES),
    "negative offsets": weights({"a": tensor(-8, 0, [2])}, BYTES),
    "negative sides": weights({"a": tensor(0, 8, [-1, -2])}, BYTES),
    "another shape": weights({"a": tensor(0, 8, [3])}, BYTES),
    "overflowing shape": weights({"a": tensor(0, 0, [2**32, 2**32])}, b""),
    "shape of digits": weights(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,0]}}'),
    "shape of floats": weights({"a": tensor(0, 8, [2.0])}, bytes(8)),
    "unknown type": weights({"a": tensor(0, 8, [2], "X32")}, bytes(8)),
    "type that is none": weights({"a": tensor(0, 8, [2], {"a": 1})}, bytes(8)),
    "metadata of numbers": weights({"__metadata__": {"a": 1}, "a": tensor(0, 8)}, bytes(8)),
    "100 000 deep": weights(b'{"a":' + b"[" * 100_000),
    "not UTF-8": weights(b'{"\xff\xfe": 1}'),
    "a name twice": weights(b'{"a":1,"a":2}'),
}
"""What safetensors itself refuses, and what it takes but should not."""
SOUND = tensor(0, 8)
STRANGE: Mapping[str, bytes] = {
    "names of attributes": weights({"a.__class__.__init__.__globals__": SOUND, "__proto__": tensor(8, 16)}, bytes(16)),
    "names of paths": weights({"../../x": SOUND, "/etc/passwd": tensor(8, 16)}, bytes(16)),
    "NaN weights": weights({"a": SOUND}, struct.pack("<2f", float("nan"), float("inf"))),
    "a tensor of nothing": weights({"a": SOUND, "b": tensor(8, 8, [0, 10**9])}, bytes(8)),
    "padding": weights(json.dumps({"a": SOUND}).encode() + b" " * 999, bytes(8)),
    "other precision": weights({"a": tensor(0, 8, [8], "F8_E4M3")}, bytes(8)),
    "30 000 tensors": weights({f"t{n}": tensor(0, 0, [0]) for n in range(30_000)}),
    "script in the metadata": weights({"__metadata__": {"title": "<script>alert(1)</script>"}, "a": SOUND}, bytes(8)),
    "megabytes of metadata": weights({"__metadata__": {"a": "x" * 10_000_000}, "a": SOUND}, bytes(8)),
    "settings that are none": weights({"__metadata__": {"nodegraph.config": '{"unet": 5}'}, "a": SOUND}, bytes(8)),
}
"""Sound files of no known model: told as such, and nothing of them is taken for a path or an attribute."""


def pickles(canary: Path) -> dict[str, bytes]:
    """Return files that run code when they are unpickled."""
    evil = RunsCode(canary)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({"state_dict": evil}))
        file.writestr("archive/version", "3")
    return {
        **{f"protocol{protocol}.ckpt": pickle.dumps(evil, protocol) for protocol in range(6)},
        "renamed.safetensors": pickle.dumps(evil),
        "renamed0.safetensors": pickle.dumps(evil, 0),
        "torch.pt": archive.getvalue(),
        "torch.bin": archive.getvalue(),
        "torch.safetensors": archive.getvalue(),
        "goodstart.safetensors": weights({"a": tensor(0, 8)}) + archive.getvalue(),
        "state.pth": pickle.dumps({"state_dict": {"a": evil}}),
    }


def png(width: int, height: int, *chunks: tuple[bytes, bytes], data: bytes = b"\0") -> bytes:
    """Return a PNG that says to be of that size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, parts))


def _chunk(part: tuple[bytes, bytes]) -> bytes:
    name, data = part
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def picture(format: str = "PNG", size: tuple[int, int] = (16, 16), mode: str = "RGB", **options: Any) -> bytes:
    target = io.BytesIO()
    Image.new(mode, size).save(target, format, **options)
    return target.getvalue()


def frames(format: str, count: int) -> bytes:
    """Return an animation of that many different frames."""
    pictures = [Image.new("L", (4, 4), number % 251) for number in range(count)]
    target = io.BytesIO()
    pictures[0].save(target, format, save_all=True, append_images=pictures[1:])
    return target.getvalue()


def bombs() -> dict[str, bytes]:
    """Return pictures that are to be refused when they are sent."""
    burst = zlib.compress(b"a" * (80 * 2**20), 9)
    small = bytes(17 * 3) * 16
    return {
        "65535 x 65535": png(65535, 65535),
        "2^31 x 2^31": png(2**31 - 1, 2**31 - 1),
        "no pixels": png(0, 0),
        "zTXt": png(16, 16, (b"zTXt", b"Comment\0\0" + burst), data=small),
        "iTXt": png(16, 16, (b"iTXt", b"workflow\0\1\0\0\0" + burst), data=small),
        "iCCP": png(16, 16, (b"iCCP", b"p\0\0" + burst), data=small),
        "501 frames of GIF": frames("GIF", 501),
        "501 frames of PNG": frames("PNG", 501),
        "cut off": picture(size=(99, 99), format="JPEG")[:-200],
        "cut off PNG": picture(size=(300, 300), mode="RGBA")[:-60],
        "page behind": picture() + b"<html><script>alert(1)</script>",
        "archive behind": picture() + zipfile_of_nothing(),
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "XHTML": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></html>',
        "PDF": b"%PDF-1.7\n1 0 obj",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "script": b"alert(1)",
    }


def zipfile_of_nothing() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x", "x")
    return target.getvalue()


def odd() -> dict[str, bytes]:
    """Return pictures that are unusual and nothing else: they are read."""
    turned = Image.Exif()
    turned[0x0112] = 6
    return {
        "CMYK": picture("JPEG", mode="CMYK"),
        "16 bits": picture("PNG", mode="I;16"),
        "floats": picture("TIFF", mode="F"),
        "one bit": picture("PNG", mode="1"),
        "palette": picture("GIF", mode="P"),
        "animated WebP": frames("WEBP", 3),
        "turned": picture("JPEG", size=(16, 8), exif=turned.tobytes()),
        "narrow": picture("PNG", size=(1, 5000)),
        "BMP": picture("BMP"),
    }

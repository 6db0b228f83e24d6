"""How the server and its child processes speak: frames on pipes, each a JSON header and a payload of bytes.

A frame is two big-endian 32-bit lengths, the header's and the payload's, then the two. Headers are of three kinds:

- `{"call": id, "method": name, "params": {...}}` asks the child for something;
- `{"reply": id, "result": ...}` or `{"reply": id, "error": {"code", "message", "problems"}}` answers;
- `{"tell": kind, ...}` informs, in either direction.

The child's first frame is `{"tell": "ready", ...}`. A child whose pipe ends has lost its parent and ends at once.
"""

from __future__ import annotations

import json
import struct
from typing import Any

HEAD = struct.Struct(">II")
LONGEST_HEADER = 64 * 2**20
LONGEST_PAYLOAD = 512 * 2**20
Header = dict[str, Any]


class ProtocolError(ValueError):
    """Bytes that are no frame."""


def encode(header: Header, payload: bytes = b"") -> bytes:
    """Return a frame."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(text) > LONGEST_HEADER or len(payload) > LONGEST_PAYLOAD:
        raise ProtocolError(f"a frame of {len(text)} + {len(payload)} bytes is too long")
    return HEAD.pack(len(text), len(payload)) + text + payload


def lengths(head: bytes) -> tuple[int, int]:
    """Read the lengths of header and payload; raise `ProtocolError` where they are beyond the limits."""
    header, payload = HEAD.unpack(head)
    if header > LONGEST_HEADER or payload > LONGEST_PAYLOAD:
        raise ProtocolError(f"a frame claims {header} + {payload} bytes: not a frame of ours")
    return header, payload


def decode(text: bytes) -> Header:
    """Read a header."""
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"a header that is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise ProtocolError("a header that is no object")
    return header

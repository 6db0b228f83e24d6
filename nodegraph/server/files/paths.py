"""Where a name that a client gives may lead: one rule for uploads, outputs, workflows and what is read back."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Final

from nodegraph.server.errors import ApiError, not_found
from nodegraph.server.security.principal import OWNER

LONGEST_PART: Final = 255
"""Bytes of a file's or folder's own name; file systems take no more."""
LONGEST: Final = 1024
"""Bytes of a whole name."""
DEEPEST: Final = 16
"""Folders within each other."""
TAMED: Final = 200
"""Bytes that a name made safe has at most, so that a number still fits."""

_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff]')
"""What some system does not keep, and what makes a name look like another: controls and marks of direction."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\..*)?", re.IGNORECASE)
"""Devices of Windows, whatever suffix follows."""


class NameRefusedError(ApiError):
    """A name that no file of ours may have."""

    def __init__(self, name: str, why: str) -> None:
        shown = ascii(name if len(name) <= 60 else f"{name[:57]}...")
        super().__init__(400, "bad_name", f"{shown} is no name for a file here: {why}")


def safe_name(name: str) -> str:
    """Return a name as a new file may have it, relative and with `/`; raise `NameRefusedError` for any other.

    It holds on every system: no `..`, no drive, no share, no device, no control or direction mark, nothing hidden.
    """
    path = _relative(name)
    for part in path.parts:
        if found := _UNSAFE.search(part):
            raise NameRefusedError(name, f"it holds {_told(found[0])}")
        if part != part.strip() or part.endswith("."):
            raise NameRefusedError(name, "a part of it begins or ends with a space, or ends with a dot")
        if _RESERVED.fullmatch(part):
            raise NameRefusedError(name, f"{part!a} is a device on some systems")
    return str(path)


def tame_name(name: str, default: str = "file") -> str:
    """Return a safe name, without folders, that is as near to `name` as can be; it never fails."""
    last = re.split(r"[/\\]", name)[-1].encode("utf-8", "replace").decode("utf-8")
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", last))
    stem, dot, suffix = text.strip(" .").rpartition(".")
    stem, suffix = (stem, dot + suffix) if dot and stem and len(suffix) <= 10 else (text, "")
    kept = stem.encode()[: TAMED - len(suffix.encode())].decode("utf-8", "ignore").strip(" .")
    kept = kept or default
    whole = f"{kept}{suffix}".strip()
    return f"_{whole}" if _RESERVED.fullmatch(whole) else whole


def resolve(root: Path, name: str) -> Path:
    """Return the file or folder that `name` leads to below `root`, links followed, whether it is there or not.

    Raises an `ApiError` 404 for a name that leads elsewhere, itself or by a link: it looks as if nothing was there.
    """
    try:
        plain = _relative(name)
        home = root.resolve()
        path = (home / plain).resolve()
    except (NameRefusedError, OSError, RuntimeError, ValueError) as error:
        raise not_found(f"file {shown_name(name)}") from error
    if path == home or not path.is_relative_to(home):
        raise not_found(f"file {shown_name(name)}")
    return path


def user_folder(data: Path, user: str, kind: str) -> Path:
    """Return the folder of a user's files of a kind: `input`, `output`, `temp` or `workflows`."""
    name = safe_name(user)
    if kind == "temp":
        return data / "temp" / name
    return data / kind if user == OWNER else data / "users" / name / kind


def shown_name(name: str) -> str:
    """Return a name as a message shows it: short, and in characters that cannot deceive."""
    return ascii(name if len(name) <= 60 else f"{name[:57]}...")


def _relative(name: str) -> PurePosixPath:
    """Return a name as a path that cannot lead out of its folder by itself, or raise `NameRefusedError`."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise NameRefusedError(name, "it holds half a character") from None
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    if not path.parts:
        raise NameRefusedError(name, "it is empty")
    if path.is_absolute() or re.match("[A-Za-z]:", plain):
        raise NameRefusedError(name, "it begins at a root, a drive or a share")
    if any(ord(character) < 32 for character in name):
        raise NameRefusedError(name, "it holds a control character")
    if any(part.startswith(".") for part in path.parts):
        raise NameRefusedError(name, "a part of it begins with a dot")
    if size > LONGEST or any(len(part.encode()) > LONGEST_PART for part in path.parts):
        raise NameRefusedError(name, f"it has {size} bytes; {LONGEST} fit, and {LONGEST_PART} between two slashes")
    if len(path.parts) > DEEPEST:
        raise NameRefusedError(name, f"it is {len(path.parts)} folders deep; {DEEPEST} fit")
    return path


def _told(character: str) -> str:
    return ascii(character) if character.isprintable() else f"U+{ord(character):04X}"

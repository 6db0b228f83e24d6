"""Names for new files: numbered, filled in, confined to their folder, and never those of files that are there."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex

LONGEST = 240
"""Bytes that a prefix may take in one name: file systems allow 255, and the number and the suffix follow."""
DEEPEST = 16
"""Folders that a prefix may lead through."""
_FIELD = re.compile(r"%(\w+)%")
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f]')


class NewFiles:
    """Numbers the files of one batch: `PREFIX_00001_.png`, counting on from what the folder holds.

    Raises ValueError for a prefix that leaves the folder or is no name for a file.
    """

    def __init__(self, folder: Path, prefix: str, suffix: str, **fields: object) -> None:
        now = time.localtime()
        clock = {
            "year": f"{now.tm_year:04}",
            "month": f"{now.tm_mon:02}",
            "day": f"{now.tm_mday:02}",
            "hour": f"{now.tm_hour:02}",
            "minute": f"{now.tm_min:02}",
            "second": f"{now.tm_sec:02}",
        }
        known = {**clock, **{key: str(value) for key, value in fields.items()}}
        filled = _FIELD.sub(lambda match: known.get(match[1], match[0]), prefix)
        self.folder, self.stem = _confined(folder, filled)
        self.suffix = suffix
        self.folder.mkdir(parents=True, exist_ok=True)
        self._next = self._last_number() + 1

    def write(self, index: int, write: Callable[[Path], object]) -> Path:
        """Have `write` make the batch's file number `index` and return its path.

        The file is made under a temporary name and then takes the first free number, so that it appears whole or not
        at all and two programs that save at once never overwrite one another.
        """
        temporary = self.folder / f".new-{token_hex(8)}{self.suffix}"
        temporary.touch(exist_ok=False)  # may be read and written by whom the umask says; tempfile's only by its owner
        try:
            write(temporary)
            return self._claim(temporary, self.stem.replace("%batch_num%", str(index)))
        finally:
            temporary.unlink(missing_ok=True)

    def _claim(self, temporary: Path, stem: str) -> Path:
        while True:
            path = self.folder / f"{stem}_{self._next:05}_{self.suffix}"
            self._next += 1
            try:
                os.link(temporary, path)
            except FileExistsError:
                continue
            except OSError:  # a file system without hard links: the name is free as far as can be told
                if path.exists():
                    continue
                temporary.replace(path)
            return path

    def _last_number(self) -> int:
        stem = re.escape(self.stem).replace("%batch_num%", r"\d+")
        pattern = re.compile(rf"{stem}_(\d+)_?\.\w+", re.IGNORECASE)
        matches = (pattern.fullmatch(entry.name) for entry in self.folder.iterdir())
        return max((int(match[1]) for match in matches if match), default=0)


def file_prefix(prefix: str) -> str:
    """Return a prefix as it is; raise ValueError if `NewFiles` would refuse it, its fields not yet filled in."""
    _confined(Path(), prefix)
    return prefix


def _confined(folder: Path, prefix: str) -> tuple[Path, str]:
    """Return the folder and the stem that a prefix means; raise ValueError if it leads out of `folder` or cannot be."""
    prefix = _UNSAFE.sub("_", prefix.replace("\\", "/"))
    names = prefix.split("/")
    if prefix.startswith("/") or ".." in names:
        raise ValueError(f"filename_prefix {prefix!r} leads out of the output folder: expected a name inside it")
    parent, _, stem = prefix.rpartition("/")
    if "%batch_num%" in parent:
        raise ValueError(f"filename_prefix {prefix!r}: %batch_num% fits after the last slash only, not in a folder")
    folders = len(names) - 1
    if folders > DEEPEST:
        raise ValueError(f"filename_prefix {prefix[:20]!r}...: got {folders} folders, expected at most {DEEPEST}")
    longest = max(len(os.fsencode(name)) for name in names)
    if longest > LONGEST:
        raise ValueError(f"filename_prefix {prefix[:20]!r}...: a name has {longest} bytes, expected at most {LONGEST}")
    return folder / parent, stem

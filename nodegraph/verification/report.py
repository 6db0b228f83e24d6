"""What a verification found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from nodegraph.engine.spec import Json

Verdict = Literal["same", "differs", "cannot"]
Kind = Literal["version", "plugin", "file", "device", "node", "setting", "origin"]


class CannotVerifyError(Exception):
    """A picture that cannot be made again, or not compared; the text says why and what would help."""


@dataclass(frozen=True)
class Difference:
    """Something of what made a picture that is not what it was."""

    kind: Kind
    what: str
    """Such as `torch`, `checkpoints/shapes.safetensors`, `node sample`."""
    then: Json
    """None: it was not there."""
    now: Json

    def __str__(self) -> str:
        return f"{self.what}: was {_shown(self.then)}, now {_shown(self.now)}"


@dataclass(frozen=True)
class Pixels:
    """How the pixels of two pictures compare; values are those of files, 0 to 255."""

    size: tuple[int, int]
    """Width and height of the picture."""
    frames: int = 1
    other: str = ""
    """What the new picture's size is where it is another; nothing else is compared then."""
    differing: int = 0
    """Pixels, of all frames, of which a channel differs."""
    largest: int = 0
    mean: float = 0.0
    psnr: float | None = None
    """Peak signal-to-noise ratio, in dB; None where nothing differs."""
    box: tuple[int, int, int, int] | None = None
    """The rectangle of what differs: x, y, width, height."""
    differing_frames: tuple[int, ...] = ()

    @property
    def same(self) -> bool:
        """Tell whether every pixel is the same."""
        return not self.other and self.differing == 0

    def within(self, tolerance: int) -> bool:
        """Tell whether no channel differs by more than `tolerance`."""
        return not self.other and self.largest <= tolerance

    def __str__(self) -> str:
        width, height = self.size
        shown = f"{width} x {height}" + (f" in {self.frames} frames" if self.frames > 1 else "")
        if self.other:
            return f"it was {shown}, the new one is {self.other}"
        if self.same:
            return f"every pixel of {shown}"
        share = 100.0 * self.differing / (width * height * self.frames)
        parts = [
            f"{self.differing} of {width * height * self.frames} pixels ({_percent(share)}) differ",
            f"by at most {self.largest} of 255, {self.mean:.3g} on average",
            "PSNR " + ("-" if self.psnr is None else f"{self.psnr:.1f} dB"),
        ]
        if self.box is not None:
            parts.append(f"within {self.box[2]} x {self.box[3]} at ({self.box[0]}, {self.box[1]})")
        if self.frames > 1:
            parts.append(f"in {len(self.differing_frames)} of {self.frames} frames")
        return ", ".join(parts)


@dataclass(frozen=True)
class Report:
    """What came of making one picture again."""

    picture: Path
    verdict: Verdict
    reason: str = ""
    """Why it cannot be verified, or why it differs where there are no pixels to compare."""
    node: str | None = None
    """The node that saved it."""
    index: int | None = None
    """Its place among the pictures that the node saved, from 0."""
    saved: int = 0
    """How many pictures that node saved in the new run."""
    pixels: Pixels | None = None
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()
    kept: tuple[Path, ...] = ()
    """The new picture, and that of the differences, where they are kept."""

    def as_json(self) -> Json:
        """Return the report as JSON."""
        told = asdict(self)
        return {**told, "picture": str(self.picture), "kept": [str(path) for path in self.kept]}


def _percent(share: float) -> str:
    return f"{share:.2f} %" if share >= 0.01 else f"{share:.1g} %"


def _shown(value: Json) -> str:
    if value is None:
        return "absent"
    return value if isinstance(value, str) else repr(value)

"""What a run gives to a program: values by name and the pictures that it saved, which show themselves in a notebook."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.engine.nearest import nearest
from nodegraph.engine.result import Result

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from nodegraph.diffusion.values import Image, Origin


@dataclass(frozen=True)
class Picture:
    """A picture that a run saved: its file, the node that saved it, and what it was drawn from if that is known."""

    path: Path
    node: str
    origin: Origin | None = None

    @property
    def seed(self) -> int | None:
        """The seed of its noise; None where no sampler made it."""
        return None if self.origin is None else self.origin.seed

    @property
    def value(self) -> Image:
        """Read it as an `Image` of one picture."""
        from nodegraph.diffusion.images import read_image
        from nodegraph.diffusion.values import Image

        return Image(read_image(self.path)[0], () if self.origin is None else (self.origin,))

    @property
    def pillow(self) -> PillowImage:
        """Read it as a Pillow image."""
        from PIL import Image

        with Image.open(self.path) as file:
            file.load()
            return file

    def _repr_png_(self) -> bytes:
        return self.path.read_bytes()


@dataclass(frozen=True, eq=False, repr=False)
class Outputs(Mapping[str, Any]):
    """What a run gave: what the workflow exposes by name, else the outputs of its targets as `node.output`."""

    result: Result
    pictures: tuple[Picture, ...] = ()
    files: tuple[Path, ...] = ()
    """Every file that was written, in the order of writing."""
    peak_memory: Mapping[str, int] = field(default_factory=dict)
    """Bytes by device (`cpu`, `cuda:0`) that the process has held at most."""

    @cached_property
    def _named(self) -> Mapping[str, Any]:
        nodes = self.result.nodes.items()
        targets = {f"{node}.{name}": value for node, given in nodes for name, value in given.items()}
        return self.result.outputs or targets

    def __getitem__(self, name: str) -> Any:
        values = self._named
        if name in values:
            return values[name]
        near = nearest(name, values)
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(values) or 'none'}"
        raise KeyError(f"no output is called {name!r}: {hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)

    def __repr__(self) -> str:
        saved = ", ".join(str(file) for file in self.files)
        return f"Outputs({', '.join(self)}; files: {saved or 'none'}; {self.result.seconds:.1f} s)"

    def _repr_html_(self) -> str:
        return "".join(_figure(picture) for picture in self.pictures) or f"<pre>{html.escape(repr(self))}</pre>"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    told = picture.path.name if picture.seed is None else f"{picture.path.name}, seed {picture.seed}"
    shown = f'<img src="data:image/png;base64,{data}" alt="{html.escape(told)}">'
    return f'<figure style="display:inline-block">{shown}<figcaption>{html.escape(told)}</figcaption></figure>'

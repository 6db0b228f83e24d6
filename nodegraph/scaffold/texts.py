"""The files of a new plugin; `@NAME@` stands for what differs from plugin to plugin."""

from __future__ import annotations

from typing import Final

PYPROJECT: Final = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "@DISTRIBUTION@"
version = "0.1.0"
description = "Nodes for nodegraph: what they are good for, in one sentence"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["nodegraph>=@NODEGRAPH@"]

[project.optional-dependencies]
dev = ["pytest>=8", "ruff>=0.12", "mypy>=1.15"]

# This is how nodegraph finds the plugin.
[project.entry-points.nodegraph]
@PACK@ = "@MODULE@"

[tool.setuptools.package-data]
@MODULE@ = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]
# The tests find the package without it being installed.
pythonpath = ["src"]

[tool.ruff]
line-length = 120
src = ["src"]

[tool.ruff.lint]
select = ["E", "F", "W", "I", "N", "UP", "B", "C4", "SIM", "RUF", "PT", "D100", "D101", "D102", "D103", "D200", "D400"]
per-file-ignores = { "tests/**" = ["D1"] }

[tool.mypy]
strict = true
files = ["src", "tests"]
mypy_path = "src"
"""

INIT: Final = '''"""@TITLE@: nodes for nodegraph."""

from collections.abc import Callable

from nodegraph import hookimpl


@hookimpl
def register_nodes() -> list[Callable[..., object]]:
    """Return the nodes of this plugin."""
    from @MODULE@ import nodes

    return [nodes.vignette]
'''

NODES: Final = '''"""The nodes: typed functions, whose annotations are ports, checks, widgets and help."""

from dataclasses import replace
from typing import Annotated

from nodegraph import Context, Step, Widget, node
from nodegraph.diffusion.values import Image
from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1), Step(0.05), Widget("slider")]


@node("@PACK@.Vignette", title="Vignette", category="image/filter")
def vignette(context: Context, image: Image, strength: Share = 0.5, clear: Share = 0.3) -> Image:
    """Darken pictures towards their corners, as old lenses do.

    A `strength` of 1 makes the corners black; what is nearer to the middle than `clear`, as a share of the way to the
    corners, stays as it is.
    """
    import torch  # imported here, so that nodegraph lists its nodes at once

    height, width = image.pixels.shape[1:3]
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)
    distance = ((x**2 + y**2) / 2).sqrt()  # (H, W), 1 in the corners
    shade = 1 - strength * ((distance - clear) / max(1 - clear, 1e-6)).clamp(0, 1) ** 2
    pixels = image.pixels.clone()  # inputs are read-only: they may sit in the cache
    for index, picture in enumerate(pixels):
        context.progress(index, len(pixels))  # also looks whether the run was cancelled
        picture[..., :3] *= shade[..., None]  # alpha stays
    return replace(image, pixels=pixels)
'''

TESTS: Final = '''"""What the nodes do, and that they keep the contract of nodes."""

import pytest
import torch
from nodegraph import Context
from nodegraph.diffusion.values import Image
from nodegraph.testing import Case, Check, contract, image

from @MODULE@ import nodes, register_nodes

CASES = [
    Case(nodes.vignette, {"image": image(batch=2)}, changes={"strength": 1.0, "clear": 0.6}),
]


@pytest.mark.parametrize("check", contract(*CASES), ids=str)
def test_nodes_keep_the_contract(check: Check) -> None:
    check()


def test_every_node_has_an_example() -> None:
    assert {case.node for case in CASES} == set(register_nodes())


def test_the_corners_go_dark_and_the_middle_stays() -> None:
    white = Image(torch.ones(1, 9, 9, 3))
    pixels = nodes.vignette(Context(), white, strength=1.0).pixels
    assert pixels[0, 0, 0].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-6)
    assert torch.equal(pixels[0, 4, 4], white.pixels[0, 4, 4])


def test_alpha_stays() -> None:
    picture = image(channels=4)
    assert torch.equal(nodes.vignette(Context(), picture).pixels[..., 3], picture.pixels[..., 3])
'''

WORKFLOW: Final = """{
  "format": 1,
  "nodes": {
    "plain": {"type": "EmptyImage", "params": {"width": 256, "height": 256, "color": 16777215}},
    "dark": {"type": "@PACK@.Vignette", "params": {"strength": 0.8}, "links": {"image": "plain.out"}},
    "save": {"type": "SaveImage", "params": {"filename_prefix": "vignette"}, "links": {"images": "dark.out"}}
  },
  "inputs": {"strength": "dark.strength"}
}
"""

README: Final = """# @TITLE@

Nodes for nodegraph.

| node | what it does |
|---|---|
| `@PACK@.Vignette` | darkens pictures towards their corners |

## Use it
```console
$ pip install -e .
$ nodegraph nodes @PACK@.Vignette
$ nodegraph run workflows/vignette.json --set strength=0.9
```

## Work on it
```console
$ pip install -e '.[dev]'
$ pytest
$ ruff check && ruff format --check && mypy
```

The tests need no installation: `pytest` finds the package in `src`. Without installing it, nodegraph finds the plugin
only if its metadata lies beside it: `pip install --no-deps --target plugins .`, then
`PYTHONPATH=plugins nodegraph nodes @PACK@.Vignette`.

A new node is a function in `src/@MODULE@/nodes.py`, its name in the list of `register_nodes` in
`src/@MODULE@/__init__.py`, and an example of it among the `CASES` in `tests/test_nodes.py`, which is checked
for what every node promises: the same result for the same inputs, inputs that stay as they are, an end when a run is
cancelled.
"""

GITIGNORE: Final = """__pycache__/
*.egg-info/
.mypy_cache/
.pytest_cache/
.ruff_cache/
.venv/
build/
dist/
output/
plugins/
"""

"""What tests of the editor's shell have in common: workflows, the lists that narrow, nodes that were added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import Locator

Json = Any


def workflow(**nodes: Json) -> dict[str, Json]:
    """Return a workflow of nodes beside each other."""
    view = {id: {"x": 40 + 400 * place, "y": 60} for place, id in enumerate(nodes)}
    return {"format": 1, "nodes": nodes, "view": view}


PICTURE = workflow(
    load={"type": "LoadImage", "params": {"image": "example.png"}},
    flip={"type": "ImageFlip", "links": {"images": "load.image"}},
    save={"type": "SaveImage", "params": {"filename_prefix": "shell"}, "links": {"images": "flip.out"}},
)
TEXTS = workflow(
    first={"type": "faults.Text", "params": {"text": "one red circle", "seed": 3}},
    second={"type": "faults.Text", "params": {"text": "two blue squares", "seed": 4}},
)
FREE = (820.0, 760.0)
"""A place in the window where none of these workflows has a node."""


def chooser(editor: Editor, name: str) -> Locator:
    found = editor.page.locator(f'[data-chooser="{name}"]')
    found.wait_for(state="visible", timeout=5000)
    return found


def rows(place: Locator) -> list[str]:
    return place.locator("[role=option] .chooser-text").all_inner_texts()


def added(editor: Editor, before: Json) -> str:
    """Return the id of the one node that was added."""
    (id,) = editor.wait_until(lambda: set(editor.nodes()) - set(before), "a node is added")
    return str(id)


def select(editor: Editor, *ids: str) -> None:
    for place, id in enumerate(ids):
        editor.click(editor.node(id).locator("[data-part=header], .node-header").first, keys=["Shift"] if place else [])
    assert set(editor.state()["selection"]) == {f"node:{id}" for id in ids}

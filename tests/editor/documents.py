"""What tests of documents share: a small workflow, what the server keeps of it, dialogs and menus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator

    from tests.faults.harness import Server

Json = Any
PICTURE: Json = {
    "format": 1,
    "nodes": {
        "picture": {"type": "LoadImage", "params": {"image": "example.png"}},
        "save": {"type": "SaveImage", "params": {"filename_prefix": "one"}, "links": {"images": "picture.image"}},
    },
    "view": {"picture": {"x": 0, "y": 0}, "save": {"x": 320, "y": 0}},
}


def prefix(document: Json) -> str:
    found: str = document["nodes"]["save"]["params"]["filename_prefix"]
    return found


def retitle(editor: Editor, text: str) -> None:
    """Type another prefix into the node `save`."""
    field = editor.field("save", "filename_prefix")
    field.fill(text)
    field.press("Tab")
    editor.wait_until(lambda: prefix(editor.document()) == text, f"{text} is typed")


def saved(server: Server, name: str) -> Json:
    return server.ask("GET", f"/workflows/{quote(name)}")


def is_saved(server: Server, name: str, text: str) -> bool:
    return prefix(saved(server, name)) == text


def names(server: Server, drafts: bool = False) -> set[str]:
    found = server.ask("GET", f"/workflows?limit=1000&drafts={str(drafts).lower()}")["items"]
    return {item["name"] for item in found}


def tab(editor: Editor) -> Json:
    return next(tab for tab in editor.state()["tabs"] if tab["current"])


def dialog(editor: Editor, name: str) -> Locator:
    found = editor.page.locator(f'[data-dialog="{name}"]')
    found.wait_for(timeout=5000)
    return found


def choose(editor: Editor, value: str) -> None:
    editor.page.locator(f'[data-choice="{value}"]').click()


def menu(editor: Editor, command: str) -> None:
    editor.page.locator('[data-menu-button="main"]').click()
    editor.page.locator(f'[data-menu="main"] [data-command="{command}"]').click()


def replaced(server: Server, name: str, document: Json) -> None:
    """Save over a workflow, as another client."""
    server.ask("PUT", f"/workflows/{quote(name)}", document, If_Match="*")


def with_prefix(text: str) -> Json:
    nodes = {**PICTURE["nodes"], "save": {**PICTURE["nodes"]["save"], "params": {"filename_prefix": text}}}
    return {**PICTURE, "nodes": nodes}


def second(editor: Editor, context: BrowserContext) -> Editor:
    """Return another page of the same browser."""
    return Editor(context.new_page(), editor.server)


def outline(editor: Editor) -> Locator:
    """Open the outline by its key and go into its tree."""
    if not editor.panel("outline").is_visible():
        editor.page.locator('[data-command="panel.outline"]').first.focus()
        editor.press("Enter")
    tree = editor.page.locator("[role=tree]")
    tree.locator("[tabindex='0']").first.focus()
    return tree

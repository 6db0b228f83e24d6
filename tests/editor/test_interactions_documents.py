"""Documents in the editor: saved, kept, brought back, compared, linked to; the outline."""

from __future__ import annotations

import re
from functools import partial
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


def test_first_start_shows_a_template_ready_to_run(editor: Editor) -> None:
    editor.start()
    assert {"model", "sample", "save"} <= set(editor.nodes())
    assert tab(editor)["title"] == "Text to image"
    assert not tab(editor)["dirty"]


def test_38_save_asks_for_a_name_and_open_brings_it_back(editor: Editor, server: Server) -> None:
    editor.start("/?template=image_to_image")
    editor.press("Mod+S")
    dialog(editor, "save-as").locator("input").fill("shelf/mine")
    editor.press("Enter")
    editor.wait_until(lambda: tab(editor)["name"] == "shelf/mine")
    assert "shelf/mine" in names(server)
    assert "workflow=shelf/mine" in editor.page.url
    editor.press("Mod+Alt+W")
    editor.press("Mod+O")
    box = dialog(editor, "open")
    box.locator("input[type=search]").fill("mine")
    box.locator('[data-workflow="shelf/mine"]').click()
    editor.wait_until(lambda: tab(editor)["name"] == "shelf/mine" and "sample" in editor.nodes())


def test_38_a_name_that_is_taken_is_asked_about(editor: Editor, server: Server) -> None:
    server.ask("PUT", "/workflows/taken", PICTURE, If_None_Match="*")
    editor.expect(r"412: PUT /api/v1/workflows/taken")
    editor.start()
    editor.press("Mod+Shift+S")
    dialog(editor, "save-as").locator("input").fill("taken")
    editor.press("Enter")
    choose(editor, "other")
    assert "another name" in dialog(editor, "save-as").inner_text()
    assert set(saved(server, "taken")["nodes"]) == {"picture", "save"}
    editor.press("Enter")
    choose(editor, "replace")
    editor.wait_until(lambda: tab(editor)["name"] == "taken")
    assert "sample" in saved(server, "taken")["nodes"]


def test_38_revisions_are_listed_and_one_can_go_back(editor: Editor, server: Server) -> None:
    name = editor.open(with_prefix("one"))
    retitle(editor, "two")
    editor.press("Mod+S")
    editor.wait_until(lambda: prefix(saved(server, name)) == "two")
    menu(editor, "file.revisions")
    box = dialog(editor, "revisions")
    box.locator('[data-revision="1"]').click()
    box.locator('[data-action="restore"]').click()
    editor.wait_until(lambda: prefix(editor.document()) == "one")
    editor.wait_until(lambda: prefix(saved(server, name)) == "one")
    editor.press("Mod+Z")
    editor.wait_until(lambda: prefix(editor.document()) == "two")


def test_39_each_change_of_a_named_tab_is_saved(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    retitle(editor, "kept")
    editor.wait_until(lambda: prefix(saved(server, name)) == "kept", "the change is on the server")
    editor.wait_until(lambda: not tab(editor)["dirty"])
    editor.press("Mod+Z")
    editor.wait_until(lambda: prefix(saved(server, name)) == "one", "the step back is on the server")


def test_39_many_changes_are_few_revisions(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    for text in ("a", "b", "c"):
        retitle(editor, text)
        editor.wait_until(partial(is_saved, server, name, text))
    revisions = server.ask("GET", f"/revisions?name={quote(name)}")["items"]
    assert len(revisions) == 2, "what was opened, and what was typed"


def test_39_after_a_crash_all_tabs_come_back(editor: Editor, server: Server, context: BrowserContext) -> None:
    name = editor.open(PICTURE)
    retitle(editor, "named")
    editor.press("Mod+Alt+T")
    editor.page.mouse.dblclick(700, 450)
    editor.page.keyboard.type("Save Image")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 1, "a node is added")
    draft = f"drafts/{tab(editor)['id']}"
    editor.wait_until(lambda: draft in names(server, drafts=True), "the draft is on the server")
    editor.wait_until(lambda: prefix(saved(server, name)) == "named")
    assert "filename_prefix" not in editor.page.evaluate("() => Object.values(localStorage).join()"), "by name only"
    editor.page.close(run_before_unload=False)
    again = second(editor, context)
    again.start()
    assert {tab["name"] for tab in again.state()["tabs"]} == {name, None}
    assert len(again.nodes()) == 1
    assert again.unexpected() == []


def test_39_a_tab_that_is_closed_leaves_no_draft(editor: Editor, server: Server) -> None:
    editor.start()
    id = tab(editor)["id"]
    editor.field("sample", "steps").fill("7")
    editor.press("Tab")
    editor.wait_until(lambda: f"drafts/{id}" in names(server, drafts=True), "the draft is on the server")
    editor.press("Mod+Alt+W")
    choose(editor, "close")
    editor.wait_until(lambda: f"drafts/{id}" not in names(server, drafts=True), "the draft is gone")


def test_39_what_cannot_be_saved_is_told_tried_again_and_not_lost(
    editor: Editor, server: Server, context: BrowserContext
) -> None:
    name = editor.open(PICTURE)
    editor.expect("failed|503|ERR_")
    context.route("**/api/v1/workflows/**", lambda route: route.abort())
    retitle(editor, "away")
    banner = editor.page.locator('[data-banner="unsaved"]')
    banner.wait_for(timeout=8000)
    assert "not saved" in banner.inner_text()
    assert prefix(saved(server, name)) == "one"
    editor.page.close()
    context.unroute("**/api/v1/workflows/**")
    again = second(editor, context)
    again.start()
    assert prefix(again.document()) == "away"
    again.wait_until(lambda: prefix(saved(server, name)) == "away", "it is saved after all")
    again.wait_until(lambda: not tab(again)["dirty"])
    assert again.page.evaluate("() => Object.keys(localStorage).filter((key) => key.includes('unsaved'))") == []


def test_39_two_windows_follow_each_other(editor: Editor, context: BrowserContext) -> None:
    name = editor.open(PICTURE)
    other = second(editor, context)
    other.start(f"/?workflow={quote(name)}")
    assert len(other.state()["tabs"]) == 1
    retitle(editor, "from the first")
    other.wait_until(lambda: prefix(other.document()) == "from the first", "the other window has the change")
    assert not tab(other)["dirty"]
    assert other.unexpected() == []


def clash(editor: Editor, server: Server, context: BrowserContext) -> str:
    """Change a workflow here while another client saves it."""
    name = editor.open(PICTURE)
    editor.expect(r"412|ERR_FAILED|net::")
    context.route("**/api/v1/workflows/**", lambda route: route.abort())
    retitle(editor, "mine")
    replaced(server, name, with_prefix("theirs"))
    context.unroute("**/api/v1/workflows/**")
    editor.page.locator('[data-banner="conflict"]').wait_for(timeout=10000)
    assert prefix(saved(server, name)) == "theirs"
    editor.wait_until(lambda: f"drafts/{tab(editor)['id']}" in names(server, drafts=True), "mine is kept as a draft")
    return name


def test_39_conflict_theirs(editor: Editor, server: Server, context: BrowserContext) -> None:
    clash(editor, server, context)
    editor.page.locator('[data-banner="conflict"] [data-action="theirs"]').click()
    editor.wait_until(lambda: prefix(editor.document()) == "theirs")
    editor.wait_until(lambda: editor.page.locator('[data-banner="conflict"]').count() == 0)
    editor.wait_until(lambda: f"drafts/{tab(editor)['id']}" not in names(server, drafts=True), "the draft is gone")


def test_39_conflict_mine_as_a_copy(editor: Editor, server: Server, context: BrowserContext) -> None:
    name = clash(editor, server, context)
    editor.page.locator('[data-banner="conflict"] [data-action="copy"]').click()
    editor.wait_until(lambda: len(editor.state()["tabs"]) == 2)
    assert prefix(editor.document()) == "mine"
    assert tab(editor)["name"] is None
    assert prefix(saved(server, name)) == "theirs"


def test_39_conflict_shows_the_difference_and_mine_can_be_saved(
    editor: Editor, server: Server, context: BrowserContext
) -> None:
    name = clash(editor, server, context)
    editor.page.locator('[data-banner="conflict"] [data-action="difference"]').click()
    row = dialog(editor, "diff").locator('[data-diff-node="save"]')
    assert row.locator('[data-when="before"]').inner_text() == "theirs"
    assert row.locator('[data-when="after"]').inner_text() == "mine"
    choose(editor, "file.saveMine")
    editor.wait_until(lambda: prefix(saved(server, name)) == "mine")
    editor.wait_until(lambda: editor.page.locator('[data-banner="conflict"]').count() == 0)


def test_41_missing_types_and_models_are_named_and_kept(editor: Editor, server: Server) -> None:
    nodes: Json = {
        **PICTURE["nodes"],
        "far": {"type": "farpack.Glow", "params": {"amount": 3}, "links": {"image": "picture.image"}},
        "model": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": "gone.safetensors"}},
    }
    name = editor.open({**PICTURE, "nodes": nodes})
    banner = editor.page.locator('[data-banner="missing"]')
    assert "farpack" in banner.inner_text()
    banner.locator('[data-action="show"]').click()
    box = dialog(editor, "missing")
    assert "plugin farpack" in box.locator('[data-missing="farpack.Glow"]').inner_text()
    assert "checkpoints" in box.locator('[data-missing="gone.safetensors"]').inner_text()
    box.locator('[data-goto="far"]').click()
    editor.wait_until(lambda: editor.state()["selection"] == ["node:far"])
    retitle(editor, "still")
    editor.wait_until(lambda: prefix(saved(server, name)) == "still")
    assert saved(server, name)["nodes"]["far"] == nodes["far"]


def item(editor: Editor, key: str) -> Locator:
    return editor.page.locator(f'[data-outline="{key}"]')


def outline(editor: Editor) -> Locator:
    """Open the outline by its key and go into its tree."""
    if not editor.panel("outline").is_visible():
        editor.page.locator('[data-command="panel.outline"]').first.focus()
        editor.press("Enter")
    tree = editor.page.locator("[role=tree]")
    tree.locator("[tabindex='0']").first.focus()
    return tree


def focused(editor: Editor) -> str | None:
    found: str | None = editor.page.evaluate("() => document.activeElement?.dataset.outline ?? null")
    return found


def test_47_outline_tells_nodes_ports_and_links(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("Home")
    assert focused(editor) == "node:picture"
    editor.press("ArrowDown", "ArrowRight", "ArrowDown")
    assert focused(editor) == "node:save|in:images"
    editor.press("ArrowRight", "ArrowDown")
    assert focused(editor) == "node:save|in:images|link"
    editor.press("Enter")
    assert focused(editor) == "node:picture"
    row = item(editor, "node:save")
    assert row.get_attribute("role") == "treeitem"
    assert row.get_attribute("aria-level") == "1"
    assert row.get_attribute("aria-expanded") == "true"
    assert editor.state()["selection"] == ["node:picture"]


def test_47_outline_edits_a_field_by_keyboard(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("End", "ArrowRight", "f")
    assert focused(editor) == "node:save|in:filename_prefix"
    editor.press("Enter", "Mod+A")
    editor.page.keyboard.type("typed")
    editor.press("Enter")
    editor.wait_until(lambda: prefix(editor.document()) == "typed")
    editor.wait_until(lambda: focused(editor) == "node:save|in:filename_prefix", "the row has the focus again")


def test_47_outline_adds_wires_mutes_renames_and_deletes(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("Insert")
    editor.page.keyboard.type("Invert Image")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 3)
    (added,) = set(editor.nodes()) - {"picture", "save"}
    editor.wait_until(lambda: focused(editor) == f"node:{added}", "what was added has the focus")
    editor.press("ArrowRight", "ArrowDown", "Enter")
    editor.page.keyboard.type("picture")
    editor.press("Enter")
    editor.wait_until(lambda: "picture.image" in editor.nodes()[added].get("links", {}).values(), "it is wired")
    editor.wait_until(lambda: (focused(editor) or "").startswith(f"node:{added}|in:"))
    editor.press("Delete")
    editor.wait_until(lambda: not editor.nodes()[added].get("links"), "the link is gone")
    editor.press("ArrowLeft", "Mod+M")
    editor.wait_until(lambda: editor.nodes()[added].get("mode") == "mute")
    assert "mute" in (item(editor, f"node:{added}").get_attribute("aria-label") or "")
    editor.press("F2")
    editor.page.keyboard.type("Upside down")
    editor.press("Enter")
    editor.wait_until(lambda: editor.document()["view"][added].get("title") == "Upside down")
    editor.press("Delete")
    editor.wait_until(lambda: set(editor.nodes()) == {"picture", "save"})
    assert focused(editor) in ("node:picture", "node:save")


def test_47_outline_runs_up_to_a_node(editor: Editor) -> None:
    editor.open(PICTURE)
    outline(editor)
    editor.press("End")
    job = editor.run(lambda: editor.press("Alt+Enter"))
    assert job["state"] == "done"
    assert job["targets"] == ["save"]


def test_50_links_open_a_template_and_a_job(editor: Editor, server: Server) -> None:
    job = server.ask("POST", "/jobs?wait=60", {"workflow": with_prefix("linked"), "name": "of the link"})
    editor.start(f"/?job={job['id']}")
    editor.wait_until(lambda: set(editor.nodes()) == {"picture", "save"})
    assert prefix(editor.document()) == "linked"
    assert tab(editor)["title"] == "of the link"
    editor.start("/?template=image_to_image")
    editor.wait_until(lambda: tab(editor)["title"] == "Image to image")


def test_50_a_link_to_what_is_not_there_is_told(editor: Editor) -> None:
    editor.expect("404")
    editor.start("/?workflow=nowhere")
    toast = editor.page.locator(".toast[data-kind=error]")
    assert "nowhere" in toast.inner_text()
    assert "sample" in editor.nodes()


def test_50_the_link_names_the_workflow_and_nothing_else(editor: Editor, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    name = editor.open(PICTURE, name="a shelf/of mine & more")
    menu(editor, "file.share")
    read = "() => navigator.clipboard.readText()"
    editor.wait_until(lambda: "workflow=" in editor.page.evaluate(read))
    link = editor.page.evaluate(read)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?workflow=a%20shelf/of%20mine%20%26%20more", link)
    other = second(editor, context)
    other.page.goto(link)
    other.wait_until(lambda: other.page.evaluate("() => Boolean(window.__editor)"))
    assert tab(other)["name"] == name


def test_51_differences_from_another_workflow(editor: Editor, server: Server) -> None:
    nodes = {**with_prefix("two")["nodes"], "more": {"type": "LoadImage", "params": {"image": "example.png"}}}
    moved = {"picture": {"x": 0, "y": 90}, "save": {"x": 320, "y": 0}, "more": {"x": 0, "y": 300}}
    server.ask("PUT", "/workflows/base", PICTURE, If_None_Match="*")
    editor.open({**PICTURE, "nodes": nodes, "view": moved})
    menu(editor, "file.diff")
    dialog(editor, "compare").locator("select").select_option("name:base")
    choose(editor, "compare")
    box = dialog(editor, "diff")
    assert "more" in box.locator('[data-part="added"]').inner_text()
    value = box.locator('[data-diff-node="save"] [data-value="filename_prefix"]')
    assert value.locator("del").inner_text() == "one"
    assert value.locator("ins").inner_text() == "two"
    layout = box.locator('[data-part="layout"]')
    assert layout.get_attribute("open") is None
    layout.locator("summary").click()
    assert "picture" in layout.inner_text()
    assert box.locator('[data-part="changed"] [data-diff-node]').count() == 1


def test_51_differences_from_the_revision_before(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    retitle(editor, "after")
    editor.press("Mod+S")
    editor.wait_until(lambda: prefix(saved(server, name)) == "after")
    menu(editor, "file.diff")
    dialog(editor, "compare").locator("select").select_option("before")
    choose(editor, "compare")
    values = dialog(editor, "diff").locator('[data-diff-node="save"] [data-value="filename_prefix"]')
    assert values.locator("ins").inner_text() == "after"


def test_templates_are_shown_with_pictures(editor: Editor) -> None:
    editor.start()
    menu(editor, "file.templates")
    box = dialog(editor, "templates")
    card = box.locator('[data-template="image_to_image"]')
    card.locator("svg.miniature").wait_for()
    assert card.locator(".miniature-node").count() > 5
    card.click()
    editor.wait_until(lambda: tab(editor)["title"] == "Image to image")


def test_23_path_leads_out_of_subgraphs(editor: Editor) -> None:
    inner = {
        "nodes": {"turn": {"type": "ImageInvert"}},
        "inputs": {"image": ["turn.image"]},
        "outputs": {"out": "turn.out"},
    }
    nodes = {**PICTURE["nodes"], "box": {"graph": "effect", "links": {"image": "picture.image"}}}
    editor.open({**PICTURE, "nodes": nodes, "subgraphs": {"effect": inner}})
    path = editor.page.locator("nav.path")
    assert not path.is_visible()
    editor.click(editor.node("box"))
    editor.press("Enter")
    editor.wait_until(lambda: editor.state()["path"] == ["box"])
    assert path.locator("[aria-current]").inner_text() == "effect"
    path.locator("button").first.click()
    editor.wait_until(lambda: editor.state()["path"] == [])
    assert editor.state()["selection"] == ["node:box"]


def test_22_notes_and_frames_are_typed_where_they_stand(editor: Editor) -> None:
    view = {
        **PICTURE["view"],
        ".frames": {"frame": {"title": "Before", "x": -40, "y": -60, "width": 700, "height": 300}},
        ".notes": {"note": {"text": "old", "x": 0, "y": 320, "width": 220, "height": 120}},
    }
    editor.open({**PICTURE, "view": view})
    editor.page.locator('[data-note="note"] .note-text').dblclick()
    editor.page.keyboard.type("new text")
    editor.press("Mod+Enter")
    editor.wait_until(lambda: editor.document()["view"][".notes"]["note"]["text"] == "new text")
    editor.page.locator('[data-frame="frame"] .frame-text').dblclick()
    editor.page.keyboard.type("After")
    editor.press("Enter")
    editor.wait_until(lambda: editor.document()["view"][".frames"]["frame"]["title"] == "After")
    outline(editor)
    editor.press("End", "F2", "Mod+A")
    editor.page.keyboard.type("by the outline")
    editor.press("Enter")
    editor.wait_until(lambda: editor.document()["view"][".notes"]["note"]["text"] == "by the outline")

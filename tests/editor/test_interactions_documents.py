"""Documents in the editor: opened, saved, brought back, linked to, compared; templates, notes and frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.editor.documents import (
    PICTURE,
    Json,
    choose,
    dialog,
    menu,
    names,
    outline,
    prefix,
    replaced,
    retitle,
    saved,
    second,
    tab,
    with_prefix,
)
from tests.editor.driver import Editor

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

    from tests.faults.harness import Server


def test_first_start_shows_a_template_ready_to_run(editor: Editor) -> None:
    editor.start()
    assert {"model", "sample", "save"} <= set(editor.nodes())
    assert tab(editor)["title"] == "Text to image"
    assert not tab(editor)["dirty"]
    assert editor.page.get_by_role("button", name="Close Text to image").count() == 1


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


def test_39_a_saved_file_that_cannot_be_read_takes_nothing_from_who_has_it_open(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    editor.expect("412: PUT")
    replaced(server, name, {"nodes": 3})
    retitle(editor, "mine")
    banner = editor.page.locator('[data-banner="unsaved"]')
    assert "nodes is 3" in banner.inner_text()
    assert saved(server, name) == {"nodes": 3}
    assert "mine" in editor.page.evaluate("() => Object.values(localStorage).join()"), "this browser keeps it"
    replaced(server, name, with_prefix("mended"))
    editor.page.locator('[data-banner="conflict"]').wait_for()


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
    other.loaded()
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
    assert editor.page.evaluate("() => document.activeElement.closest('#canvas') !== null"), "keys work on"
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

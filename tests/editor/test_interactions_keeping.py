"""What the editor keeps by itself: changes, drafts after a crash, tabs in two windows, conflicts."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.editor.documents import (
    PICTURE,
    choose,
    dialog,
    is_saved,
    menu,
    names,
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
    from playwright.sync_api import BrowserContext, Route

    from tests.faults.harness import Server


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


def test_39_a_draft_that_was_saved_as_the_page_was_left_is_no_second_one(editor: Editor, server: Server) -> None:
    editor.start("/?template=image_to_image")
    before = names(server, drafts=True)
    held: list[Route] = []

    def lose_the_answer(route: Route) -> None:
        route.fetch()
        held.append(route)

    editor.page.route("**/workflows/drafts/**", lose_the_answer)
    retitle(editor, "a draft")
    editor.wait_until(lambda: held, "the draft is saved, and the page does not know")
    editor.page.unroute("**/workflows/drafts/**")
    with editor.page.expect_response(lambda told: told.request.method == "GET" and "/workflows/drafts/" in told.url):
        editor.page.reload()
    editor.loaded()
    assert prefix(editor.document()) == "a draft"
    retitle(editor, "the same draft")
    draft = f"drafts/{tab(editor)['id']}"
    editor.wait_until(partial(is_saved, server, draft, "the same draft"), "it is kept")
    assert names(server, drafts=True) - before == {draft}


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


def test_39_without_autosave_a_change_is_a_draft_until_it_is_saved(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    editor.expect("412: PUT")
    editor.press("Mod+,")
    dialog(editor, "settings").locator('[data-setting="autosave"]').uncheck()
    editor.press("Escape")
    retitle(editor, "mine")
    draft = f"drafts/{tab(editor)['id']}"
    editor.wait_until(lambda: draft in names(server, drafts=True), "it is kept as a draft")
    assert is_saved(server, name, "one")
    assert tab(editor)["dirty"]
    editor.press("Mod+S")
    editor.wait_until(lambda: is_saved(server, name, "mine"), "it is saved when that is asked for")
    editor.wait_until(lambda: draft not in names(server, drafts=True), "the draft is gone")
    retitle(editor, "mine again")
    editor.wait_until(lambda: draft in names(server, drafts=True), "it is a draft again")
    replaced(server, name, with_prefix("theirs"))
    editor.press("Mod+S")
    editor.page.locator('[data-banner="conflict"]').wait_for(timeout=5000)
    assert is_saved(server, name, "theirs")


def test_39_what_is_deleted_while_it_is_open_is_kept_and_can_be_saved_again(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    editor.expect("412: PUT|404: GET")
    draft = f"drafts/{tab(editor)['id']}"
    editor.press("Mod+O")
    library = dialog(editor, "open")
    row = library.locator("li", has=editor.page.locator(f'[data-workflow="{name}"]'))
    row.hover()
    row.locator('[data-action="delete"]').click()
    choose(editor, "delete")
    banner = editor.page.locator('[data-banner="conflict"]')
    banner.get_by_text("was deleted").wait_for()
    editor.wait_until(lambda: draft in names(server, drafts=True), "what is open is a draft")
    library.locator('[data-shelf="deleted"]').click()
    library.locator(f'[data-workflow="{name}"]').click()
    banner.wait_for(state="detached")
    editor.wait_until(lambda: draft not in names(server, drafts=True), "it is restored")
    server.ask("DELETE", f"/workflows/{quote(name)}", If_Match="*")
    retitle(editor, "mine")
    banner.locator('[data-action="mine"]').click()
    editor.wait_until(lambda: name in names(server) and is_saved(server, name, "mine"), "it is there again")
    banner.wait_for(state="detached")


def test_38_a_saved_workflow_gets_another_name_and_is_downloaded(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    retitle(editor, "renamed at once")
    editor.page.locator("[data-tab]").dblclick()
    dialog(editor, "save-as").locator("input").fill(f"shelf/{name}")
    editor.press("Enter")
    editor.wait_until(lambda: tab(editor)["name"] == f"shelf/{name}", "the tab has the other name")
    editor.wait_until(lambda: name not in names(server), "the old one is gone")
    assert is_saved(server, f"shelf/{name}", "renamed at once")
    with editor.page.expect_download() as download:
        menu(editor, "file.download")
    assert download.value.suggested_filename == f"{name}.json"
    assert json.loads(download.value.path().read_text()) == editor.document()

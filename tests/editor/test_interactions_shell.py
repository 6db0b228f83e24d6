"""The first start, tabs, find, commands and keys: interactions 40, 43 and 44 of the editor."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.editor.driver import Editor
from tests.editor.shell import TEXTS, chooser, select, workflow

HOSTILE = '<img src=x onerror="window.ran = 1"><b>bold</b>'


@pytest.mark.parametrize("settings", [{"tourSeen": False}], indirect=True)
def test_a_first_start_shows_the_bundled_workflow_and_offers_a_tour(editor: Editor) -> None:
    editor.start()
    assert editor.nodes()["sample"]["type"] == "KSampler"
    assert editor.state()["tabs"][0]["dirty"] is False
    editor.page.get_by_role("button", name="Show me around").click()
    tour = editor.page.get_by_role("dialog", name="Tour")
    for title in ("Run", "The workflow", "More nodes", "What goes on", "All else"):
        assert tour.get_by_role("heading").inner_text() == title
        editor.press("Enter")
    assert tour.count() == 0
    editor.page.reload()
    editor.loaded()
    assert editor.page.get_by_role("button", name="Show me around").count() == 0


def test_40_tabs_hold_their_own_workflows_and_a_dot_where_one_is_not_saved(editor: Editor) -> None:
    name = editor.open(TEXTS)
    select(editor, "first")
    editor.press("Delete")
    tab = editor.page.locator(".tab").first
    assert tab.get_attribute("data-dirty") == "true"
    editor.press("Mod+Alt+T")
    assert editor.nodes() == {}
    beginnings = editor.page.locator(".canvas-empty")
    assert beginnings.get_by_role("button").all_inner_texts() == ["Add a node", "Templates", "Open"]
    beginnings.get_by_role("button", name="Add a node").click()
    editor.page.keyboard.type("imageinvert")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 1)
    beginnings.wait_for(state="hidden")
    editor.press("Mod+Alt+ArrowLeft")
    assert set(editor.nodes()) == {"second"}
    editor.press("Mod+Z")
    assert set(editor.nodes()) == {"first", "second"}
    editor.press("Mod+Alt+ArrowRight")
    assert [node["type"] for node in editor.nodes().values()] == ["ImageInvert"]
    assert [tab["name"] for tab in editor.state()["tabs"]] == [name, None]


def test_40_closing_a_tab_asks_for_what_is_not_saved(editor: Editor) -> None:
    editor.open(TEXTS)
    editor.press("Mod+Alt+T", "Shift+A")
    editor.page.keyboard.type("imageinvert")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 1)
    editor.press("Mod+Alt+W")
    editor.page.locator('[data-dialog="question"] [data-choice="cancel"]').click()
    assert len(editor.state()["tabs"]) == 2
    editor.page.locator(".tab").last.locator(".tab-close").click()
    editor.page.locator('[data-dialog="question"] [data-choice="close"]').click()
    editor.wait_until(lambda: len(editor.state()["tabs"]) == 1, "it is closed")
    assert set(editor.nodes()) == {"first", "second"}


def test_40_tabs_are_moved_by_dragging_and_chosen_by_arrows(editor: Editor) -> None:
    editor.open(TEXTS)
    editor.press("Mod+Alt+T")
    ids = [tab["id"] for tab in editor.state()["tabs"]]
    first, second = editor.page.locator(".tab").first, editor.page.locator(".tab").last
    x, y = editor.place(first)
    editor.drag(second, (x - 20, y))
    assert [tab["id"] for tab in editor.state()["tabs"]] == ids[::-1]
    editor.page.locator('[role=tab][aria-selected="true"]').focus()
    editor.press("ArrowRight")
    assert [tab["id"] for tab in editor.state()["tabs"] if tab["current"]] == [ids[0]]
    assert editor.page.locator('[role=tab]:focus [class~="tab-title"]').count() == 1


def test_43_find_jumps_to_a_node_by_its_value_in_a_subgraph_too(editor: Editor) -> None:
    inner = {"nodes": {"deep": {"type": "faults.Text", "params": {"text": "a needle"}}}, "outputs": {"out": "deep.out"}}
    document = copy.deepcopy(TEXTS)
    document["subgraphs"] = {"hay": inner}
    document["nodes"]["stack"] = {"graph": "hay"}
    document["view"]["stack"] = {"x": 6000, "y": 4000}
    editor.open(document)
    editor.press("Mod+F")
    find = chooser(editor, "find")
    editor.page.keyboard.type("blue squ")
    assert "two blue squares" in find.locator("[role=option]").first.inner_text()
    editor.press("Enter")
    assert editor.state()["selection"] == ["node:second"]
    editor.press("Mod+F")
    editor.page.keyboard.type("faults")
    editor.wait_until(lambda: find.locator("[role=option]").count() == 3, "they are found by their type")
    editor.press("Escape", "Mod+F")
    editor.page.keyboard.type("stack")
    editor.press("Enter")
    editor.wait_until(lambda: editor.node("stack").is_visible(), "what was far away is in view")
    editor.press("Mod+F")
    editor.page.keyboard.type("needle")
    editor.press("Enter")
    assert editor.state()["path"] == ["stack"]
    assert editor.state()["selection"] == ["node:deep"]


def test_44_every_command_is_listed_and_done_from_the_list(editor: Editor) -> None:
    editor.open(TEXTS)
    editor.press("Mod+Shift+P")
    commands = chooser(editor, "commands")
    editor.page.keyboard.type("select all")
    assert "Ctrl+A" in commands.locator("[role=option]").first.inner_text()
    editor.press("Enter")
    assert set(editor.state()["selection"]) == {"node:first", "node:second"}
    editor.press("?")
    help = editor.page.locator('[data-dialog="keys"]')
    listed = {row.get_attribute("data-key") for row in help.locator("[data-key]").all()}
    assert {"edit.undo", "palette.open", "graph.delete", "run.run", "keys.open", "theme.dark"} <= listed


def test_44_keys_are_bound_anew_with_conflicts_told_and_kept(editor: Editor) -> None:
    editor.open(TEXTS)
    editor.press("?")
    help = editor.page.locator('[data-dialog="keys"]')
    help.locator('[data-rebind="graph.selectAll"]').click()
    editor.press("Mod+D")
    assert "Duplicate" in help.locator('[data-conflict="graph.selectAll"]').inner_text()
    assert "Select all" in help.locator('[data-conflict="graph.duplicate"]').inner_text()
    editor.press("Escape", "Mod+D")
    assert set(editor.state()["selection"]) == {"node:first", "node:second"}
    assert len(editor.nodes()) == 2
    editor.page.reload()
    editor.loaded()
    editor.wait_until(lambda: len(editor.nodes()) == 2)
    editor.press("Mod+A")
    assert editor.state()["selection"] == []
    editor.press("?")
    editor.page.get_by_role("button", name="Give all keys back").click()
    editor.press("Escape", "Mod+A")
    assert len(editor.state()["selection"]) == 2


def test_44_no_two_commands_have_the_same_key_by_mistake(editor: Editor) -> None:
    editor.start()
    editor.press("?")
    editor.page.locator('[data-dialog="keys"]').wait_for()
    rows = editor.page.locator("[data-key]").evaluate_all(
        "rows => rows.map(row => [row.dataset.key, [...row.querySelectorAll('kbd')].map(key => key.textContent)])"
    )
    found: dict[str, list[str]] = {}
    for id, keys in rows:
        for key in keys:
            found.setdefault(key, []).append(id)
    shared = {key: ids for key, ids in found.items() if len(ids) > 1}
    apart = {("graph.selectNone", "graph.leave")}  # one where something is selected, the other where nothing is
    arrows = {key for key in shared if key[-1] in "←→↑↓"}  # nodes that are selected move, else the view does
    assert {key: ids for key, ids in shared.items() if key not in arrows and tuple(ids) not in apart} == {}


def test_names_out_of_a_file_are_shown_as_text(editor: Editor) -> None:
    document = workflow(__proto__={"type": "faults.Text", "params": {"text": HOSTILE}})
    document["view"]["__proto__"]["title"] = HOSTILE
    editor.server.ask("PUT", "/workflows/hostile", document, If_None_Match="*")
    editor.start("/?workflow=hostile")
    editor.press("Mod+F")
    assert HOSTILE in chooser(editor, "find").inner_text()
    editor.press("Enter", "F1")
    assert editor.state()["selection"] == ["node:__proto__"]
    editor.press("Mod+Alt+T")
    editor.page.locator(".tab").last.dblclick()
    editor.page.locator('[data-dialog="text"] input').fill(HOSTILE)
    editor.press("Enter")
    editor.wait_until(lambda: HOSTILE in editor.page.locator("#tabs").inner_text(), "the title is shown")
    assert editor.page.evaluate("() => window.ran") is None
    assert editor.page.locator("b", has_text="bold").count() == 0


def test_the_server_and_the_way_out_are_reached_from_the_menu(editor: Editor) -> None:
    editor.start()
    editor.page.get_by_role("button", name="Menu", exact=True).click()
    editor.command("server.open").click()
    server = editor.page.locator('[data-dialog="server"]')
    server.wait_for(state="visible")
    links = [link.get_attribute("href") for link in server.get_by_role("link").all()]
    assert set(links) == {f"/api/v1/{name}" for name in ("queue", "jobs", "outputs", "nodes", "models")} | {
        "/openapi.json"
    }
    for link in links:
        assert editor.page.request.get(f"{editor.server.url}{link}").status == 200


def test_a_stranger_is_told_how_to_get_in(browser: Any, server: Any) -> None:
    with browser.new_context() as context:
        stranger = Editor(context.new_page(), server)
        stranger.start()
        told = stranger.page.locator('[data-dialog="sign-in"]').inner_text()
        assert "nodegraph users link owner" in told
        assert not stranger.page.locator("#canvas").is_visible()
        assert all(problem.startswith("401") or "/events" in problem for problem in stranger.problems)


def test_who_logs_out_is_told_how_to_get_in_again(browser: Any, server: Any) -> None:
    path = server.ask("POST", "/users/owner/link")["path"]
    with browser.new_context() as context:
        editor = Editor(context.new_page(), server)
        editor.start(path)
        editor.wait_until(lambda: "sample" in editor.nodes(), "the first workflow is open")
        editor.page.get_by_role("button", name="Menu", exact=True).click()
        editor.command("server.logout").click()
        editor.page.locator('[data-dialog="sign-in"]').wait_for()
        assert not editor.node("sample").is_visible()
        assert context.request.get(f"{server.url}/api/v1/me").status == 401

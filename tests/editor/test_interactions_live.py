"""Runs as they are seen on the canvas and in the bar: interactions 29 to 33 of the editor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.editor.driver import Editor
from tests.editor.runs import graph, jobs_named, picture, run_state, show, slow, submitted

if TYPE_CHECKING:
    from playwright.sync_api import APIResponse, Route

Json = Any


pytestmark = pytest.mark.usefixtures("nothing_runs")


def test_29_previews_are_shown_on_the_node_and_large_while_it_runs(editor: Editor) -> None:
    editor.open(graph(show={"type": "faults.Preview", "params": {"count": 30, "seconds": 3.0, "size": 64}}))
    # A node that nobody reads and that writes nothing is run when it is asked for.
    editor.click(editor.node("show").locator(".node-title"))
    editor.press("Alt+Enter")
    canvas = editor.node("show").locator("canvas[data-preview]")
    canvas.wait_for(state="visible")
    first = int(canvas.get_attribute("data-preview") or 0)
    editor.wait_until(lambda: int(canvas.get_attribute("data-preview") or 0) > first, "another preview is shown")
    editor.node("show").get_by_role("button", name="Show the preview large").click()
    large = editor.page.locator(".viewer canvas")
    large.wait_for(state="visible")
    assert large.evaluate("c => [c.width, c.height]") == [64, 64]
    grey = "c => c.getContext('2d').getImageData(32, 32, 1, 1).data[0]"
    before = large.evaluate(grey)
    editor.wait_until(lambda: large.evaluate(grey) > before, "the large view goes on")
    editor.press("Escape")
    editor.wait_until(lambda: editor.jobs()[0]["state"] == "done", "the job has ended")
    assert canvas.is_visible(), "the last preview stays"


def test_29_undo_loses_neither_previews_nor_results(editor: Editor) -> None:
    editor.open(picture())
    editor.run()
    image = editor.node("save").locator("img[data-output]")
    image.wait_for(state="visible")
    shown = image.get_attribute("data-output")
    title = editor.node("text").locator(".node-title")
    editor.drag(title, (700, 500))
    editor.press("Mod+Z")
    editor.wait_until(lambda: not editor.state()["canUndo"], "the step is taken back")
    assert image.get_attribute("data-output") == shown


def test_30_progress_is_on_the_node_in_the_bar_the_queue_the_title_and_the_icon(editor: Editor) -> None:
    name = editor.open(slow())
    show(editor, "queue")
    job = submitted(editor)
    page = editor.page
    editor.wait_until(lambda: editor.node("wait").get_attribute("data-state") == "running", "the node runs")
    row = editor.panel("queue").locator(f'[data-job="{job}"]')
    editor.wait_until(lambda: re.search(r"[1-9]\d?% · .*left", row.inner_text()), "the row tells how far and how long")
    assert re.search(r"[1-9]\d?%", page.locator(".run-text").inner_text())
    assert re.fullmatch(rf"\d+% {name} – nodegraph", page.title())
    icon = "document.querySelector('link[rel=\"icon\"]').href"
    assert str(page.evaluate(icon)).startswith("data:image/png")
    bar = page.get_by_role("progressbar", name="Run")
    assert 0 < int(bar.get_attribute("aria-valuenow") or 0) < 100
    part = editor.node("wait").locator(".node-bar").evaluate("e => parseFloat(getComputedStyle(e).scale)")
    assert 0 < part < 1
    editor.press("Mod+Alt+Enter")
    editor.wait_until(lambda: page.title() == f"{name} – nodegraph", "the title is as it was")
    assert str(page.evaluate(icon)).endswith("/icon.svg")


def test_30_a_page_that_is_opened_while_a_job_runs_shows_it_at_once(editor: Editor) -> None:
    name = editor.open(slow(8.0))
    submitted(editor)
    editor.wait_until(lambda: editor.node("wait").get_attribute("data-state") == "running", "the node runs")
    editor.start(f"/?workflow={name.replace(' ', '%20')}")
    editor.wait_until(lambda: run_state(editor) == "running", "the bar shows the run", 3)
    editor.wait_until(lambda: editor.node("wait").get_attribute("data-state") == "running", "the node shows it", 3)
    assert len(jobs_named(editor, name)) == 1


def test_31_errors_stand_at_node_and_field_and_in_a_list_that_leads_there(editor: Editor) -> None:
    document = picture()
    document["nodes"]["save"]["params"]["count"] = -3
    editor.open(document)
    editor.expect("422: POST")
    editor.press("Mod+Enter")
    node = editor.node("save")
    editor.wait_until(lambda: node.get_attribute("data-error") is not None, "the node is marked")
    field = editor.page.locator('[data-node="save"] [data-field="count"][data-invalid]').first
    field.wait_for()
    assert "0" in (field.get_attribute("title") or "")
    editor.page.get_by_role("button", name="Show", exact=True).click()
    problem = editor.panel("problems").locator('[data-problem="save"]')
    assert "count" in problem.inner_text()
    editor.click(editor.node("text").locator(".node-title"))
    problem.click()
    editor.wait_until(lambda: editor.state()["selection"] == ["node:save"], "it went to the node")
    control = editor.field("save", "count")
    control.click()
    editor.press("Mod+A")
    editor.page.keyboard.type("1")
    editor.press("Enter")
    editor.wait_until(lambda: node.get_attribute("data-error") is None, "the mark goes with the edit")
    assert editor.panel("problems").locator(".problem").count() == 0
    editor.press("Mod+Z", "Mod+Enter")
    notice = editor.page.locator(".toast", has_text="cannot run")
    notice.wait_for()
    editor.press("Mod+Shift+Z")
    notice.wait_for(state="detached")
    assert editor.run()["state"] == "done"


def test_31_a_link_that_is_missing_is_marked_and_its_port_is_gone_to(editor: Editor) -> None:
    flip = {"type": "ImageFlip", "params": {"flip_method": "x-axis: vertically"}}
    document = graph(flip=flip, save={"type": "SaveImage", "links": {"images": "flip.out"}})
    editor.open(document)
    editor.expect("422: POST")
    editor.press("Mod+Enter")
    port = editor.port("flip", "in:image")
    editor.wait_until(lambda: port.get_attribute("data-invalid") is not None, "the port is marked")
    editor.page.get_by_role("button", name="Show", exact=True).click()
    editor.panel("problems").locator('[data-problem="flip"]').click()
    editor.wait_until(lambda: port.evaluate("(port) => port === document.activeElement"), "the port has the focus")
    editor.press("Enter")
    editor.page.locator('[data-chooser="connect"]').wait_for()


def test_31_a_failed_node_says_why(editor: Editor) -> None:
    editor.open(
        graph(
            broken={"type": "faults.Raise", "params": {"message": "the lamp is out"}},
            save={"type": "faults.Sleep", "params": {"seconds": 0.01}, "links": {"value": "broken.out"}},
            end={"type": "faults.Save", "links": {"text": "save.out"}},
        )
    )
    held: list[tuple[Route, APIResponse]] = []
    editor.page.route("**/jobs", lambda route: held.append((route, route.fetch())))
    assert editor.run()["state"] == "failed"
    editor.wait_until(lambda: editor.node("broken").get_attribute("data-state") == "failed", "the node is marked")
    editor.wait_until(lambda: held, "the run is answered, after its end is told")
    for route, answer in held:
        route.fulfill(response=answer)
    notice = editor.page.locator(".toast", has_text="the lamp is out")
    notice.get_by_role("button", name="Show", exact=True).click()
    editor.wait_until(lambda: editor.state()["selection"] == ["node:broken"], "the notice leads to the node")
    show(editor, "problems")
    assert "the lamp is out" in editor.panel("problems").locator('[data-problem="broken"]').inner_text()


def nested() -> dict[str, Json]:
    """Return a workflow whose one node is a subgraph with two in it, of which one takes a while."""
    inner = graph(
        slow={"type": "faults.Sleep", "params": {"seconds": 2.5, "steps": 20, "value": "slept"}},
        save={"type": "faults.Save", "params": {"color": 70}, "links": {"text": "slow.out"}},
    )
    return {**graph(part={"graph": "part"}), "subgraphs": {"part": {name: inner[name] for name in ("nodes", "view")}}}


def test_30_an_instance_of_a_subgraph_shows_what_is_in_it(editor: Editor) -> None:
    editor.open(nested())
    job = submitted(editor)
    part = editor.node("part")
    editor.wait_until(lambda: part.get_attribute("data-state") == "running", "the instance runs")
    editor.click(part.locator(".node-title"))
    editor.press("Enter")
    editor.wait_until(lambda: editor.state()["path"] == ["part"], "it was entered")
    editor.wait_until(lambda: editor.node("slow").get_attribute("data-state") == "running", "the node in it runs")
    editor.ended(job)
    editor.node("save").locator("img[data-output]").wait_for()
    editor.press("Escape")
    editor.wait_until(lambda: editor.state()["path"] == [], "it was left")
    part.locator("img[data-output]").wait_for()
    assert part.get_attribute("data-state") == "finished"


def test_32_marks_tell_what_is_reused_and_why_a_node_runs(editor: Editor) -> None:
    editor.open(picture())
    editor.run()
    text, save = editor.node("text"), editor.node("save")
    editor.wait_until(lambda: text.get_attribute("data-mark") == "cached", "the text will be reused")
    control = editor.field("text", "width")
    control.click()
    editor.press("Mod+A")
    editor.page.keyboard.type("80")
    editor.press("Enter")
    editor.wait_until(lambda: text.get_attribute("data-mark") == "run", "the text will run")
    editor.wait_until(lambda: save.get_attribute("data-mark") == "run", "what reads it will run")
    assert "width" in (text.locator(".node-mark").get_attribute("title") or "")
    editor.press("Mod+Z")
    editor.wait_until(lambda: text.get_attribute("data-mark") == "cached", "it is as it was")


def test_33_run_count_front_and_cancel(editor: Editor) -> None:
    editor.open(slow(6.0))
    first = submitted(editor)
    editor.wait_until(lambda: editor.server.job(first)["state"] == "running", "the first one runs")
    count = editor.page.get_by_label("How many runs")
    count.fill("3")
    count.press("Tab")
    editor.command("run.run").click()
    editor.wait_until(lambda: len(editor.jobs()) >= 4 and editor.jobs()[2]["state"] == "queued", "three more wait")
    waiting = [job["id"] for job in editor.jobs()[:3]]
    count.fill("1")
    count.press("Tab")
    editor.press("Mod+Shift+Enter")

    def queue() -> list[str]:
        return [job["id"] for job in editor.server.ask("GET", "/queue")["jobs"]]

    editor.wait_until(lambda: len(queue()) == 5, "one more waits")
    editor.wait_until(lambda: queue()[1] not in waiting, "the last one is the next")
    editor.press("Mod+Alt+Enter")
    editor.wait_until(lambda: editor.server.job(first)["state"] == "cancelled", "the one that ran is cancelled")


def test_33_run_to_a_node_runs_nothing_behind_it(editor: Editor) -> None:
    editor.open(picture())
    editor.click(editor.node("text").locator(".node-title"))
    job = editor.run(lambda: editor.press("Alt+Enter"))
    assert job["targets"] == ["text"]
    assert [node["node"] for node in job["node_states"]] == ["text"]


def test_33_run_on_change(editor: Editor) -> None:
    editor.open(picture())
    before = len(editor.jobs())
    editor.command("run.onChange").click()
    editor.wait_until(lambda: len(editor.jobs()) == before + 1, "it runs at once")
    editor.ended(editor.jobs()[0]["id"])
    editor.drag(editor.node("text").locator(".node-title"), (700, 500))
    control = editor.field("save", "color")
    control.click()
    editor.press("Mod+A")
    editor.page.keyboard.type("33")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.jobs()) == before + 2, "the change runs, the move did not")
    editor.command("run.onChange").click()

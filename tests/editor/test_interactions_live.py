"""Runs, as they are seen and steered in the browser: interactions 29 to 36 and 52 of the editor, and questions."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, PngImagePlugin

from tests.editor.driver import Editor

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = Any
NODES = Path(__file__).parents[2] / "workflows"


def graph(**nodes: Json) -> dict[str, Json]:
    """Return a workflow of nodes beside each other."""
    view = {id: {"x": 40 + 330 * place, "y": 60} for place, id in enumerate(nodes)}
    return {"format": 1, "nodes": nodes, "view": view}


def slow(seconds: float = 4.0, steps: int = 40) -> dict[str, Json]:
    """Return a workflow that runs for a while and tells how far it is."""
    return graph(
        wait={"type": "faults.Sleep", "params": {"seconds": seconds, "steps": steps, "value": "slept"}},
        save={"type": "faults.Save", "params": {"filename_prefix": "slow"}, "links": {"text": "wait.out"}},
    )


def picture(color: int = 90, size: int = 64, prefix: str = "plain") -> dict[str, Json]:
    """Return a workflow that writes a picture at once."""
    return graph(
        text={"type": "faults.Text", "params": {"text": "words", "seed": 7}},
        save={
            "type": "faults.Save",
            "params": {"color": color, "size": size, "filename_prefix": prefix},
            "links": {"text": "text.out"},
        },
    )


def run_state(editor: Editor) -> str:
    """Return what the run button tells."""
    return editor.page.locator(".run-bar").get_attribute("data-state") or ""


def show(editor: Editor, panel: str) -> None:
    """Show a panel."""
    editor.page.locator(f'.rail-button[data-command="panel.{panel}"]').click()
    editor.panel(panel).wait_for(state="visible")


@pytest.fixture(autouse=True)
def nothing_runs(server: Any) -> Iterator[None]:
    """Leave no job behind."""
    yield
    server.ask("POST", "/queue/resume", {})
    for job in server.ask("GET", "/jobs?limit=100&state=queued&state=running&state=waiting")["items"]:
        server.ask("POST", f"/jobs/{job['id']}/cancel")


def submitted(editor: Editor) -> str:
    """Run the open workflow; return the id of its job without waiting for its end."""
    before = {job["id"] for job in editor.jobs()}
    editor.press("Mod+Enter")
    found: str = editor.wait_until(
        lambda: next((job["id"] for job in editor.jobs() if job["id"] not in before), None), "a job is queued"
    )
    return found


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
    icon = 'document.querySelector(\'link[rel="icon"]\').href'
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
    assert len([job for job in editor.jobs() if job["name"] == name]) == 1


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
    assert editor.run()["state"] == "done"


def test_31_a_failed_node_says_why(editor: Editor) -> None:
    editor.open(
        graph(
            broken={"type": "faults.Raise", "params": {"message": "the lamp is out"}},
            save={"type": "faults.Sleep", "params": {"seconds": 0.01}, "links": {"value": "broken.out"}},
            end={"type": "faults.Save", "links": {"text": "save.out"}},
        )
    )
    assert editor.run()["state"] == "failed"
    editor.wait_until(lambda: editor.node("broken").get_attribute("data-state") == "failed", "the node is marked")
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
    queue = lambda: editor.server.ask("GET", "/queue")["jobs"]  # noqa: E731
    editor.wait_until(lambda: len(queue()) == 5, "one more waits")
    editor.wait_until(lambda: [job["id"] for job in queue()][1] not in waiting, "the last one is the next")
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


def test_34_queue_pause_reorder_cancel_retry(editor: Editor) -> None:
    editor.open(slow(0.05, 2))
    show(editor, "queue")
    panel = editor.panel("queue")
    editor.command("queue.pause").click()
    editor.wait_until(lambda: editor.server.ask("GET", "/queue")["paused"], "the queue is paused")
    one, two, three = (submitted(editor) for _ in range(3))
    rows = panel.locator(".job[data-movable]")
    order = lambda: rows.evaluate_all("rows => rows.map((row) => row.dataset.job)")  # noqa: E731
    editor.wait_until(lambda: order() == [one, two, three], "they wait in order")
    first, last = rows.nth(0).bounding_box(), rows.nth(2).bounding_box()
    assert first is not None and last is not None
    editor.drag((last["x"] + 60, last["y"] + 34), (first["x"] + 60, first["y"] + 4))
    editor.wait_until(lambda: order() == [three, one, two], "the last one was moved to the front")
    row = panel.locator(f'[data-job="{one}"]')
    row.hover()
    row.locator('[data-action="down"]').click()
    editor.wait_until(lambda: order() == [three, two, one], "by button too")
    panel.locator(f'[data-job="{two}"]').hover()
    panel.locator(f'[data-job="{two}"] [data-action="cancel"]').click()
    editor.wait_until(lambda: order() == [three, one], "the one is cancelled")
    editor.command("queue.pause").click()
    for id in (three, one):
        editor.wait_until(lambda id=id: editor.server.job(id)["state"] == "done", "it runs again")
    done = panel.locator(f'[data-job="{three}"][data-state="done"]')
    done.wait_for()
    assert re.search(r"Done · \d+(\.\d+)? m?s", done.inner_text())
    jobs = len(editor.jobs())
    done.hover()
    done.locator('[data-action="retry"]').click()
    editor.wait_until(lambda: len(editor.jobs()) == jobs + 1, "it is run once more")
    done.hover()
    done.locator('[data-action="delete"]').click()
    editor.wait_until(lambda: done.count() == 0, "it is removed from the list")


def test_35_history_filter_compare_seed_again_delete(editor: Editor) -> None:
    editor.server.ask("POST", "/jobs?wait=30", {"workflow": picture(40, prefix="gallery40"), "name": "giraffe"})
    editor.open(picture(200, prefix="gallery200"), "zebra")
    editor.run()
    editor.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    show(editor, "history")
    tiles = editor.panel("history").locator(".tile")
    editor.wait_until(lambda: tiles.count() >= 2, "both are there")
    assert tiles.first.locator("img").get_attribute("loading") == "lazy"
    find = editor.page.get_by_label("Find by name or prompt")
    find.fill("zebra")
    editor.wait_until(lambda: tiles.count() == 1, "one is found")
    tile = tiles.first
    tile.hover()
    tile.locator('[data-action="seed"]').click()
    editor.wait_until(lambda: editor.page.evaluate("navigator.clipboard.readText()") == "7", "its seed is copied")
    find.fill("")
    editor.wait_until(lambda: tiles.count() >= 2, "all are there again")
    for place in (0, 1):
        tiles.nth(place).hover()
        tiles.nth(place).locator("input").check()
    editor.panel("history").locator('[data-action="compare"]').click()
    compare = editor.page.locator(".compare")
    box = compare.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    editor.drag((box["x"] + box["width"] / 2, middle), (box["x"] + box["width"] / 4, middle))
    assert compare.get_attribute("data-compare") == "25"
    editor.press("ArrowRight")
    assert compare.get_attribute("data-compare") == "27"
    editor.press("Escape")
    jobs, shown = len(editor.jobs()), tiles.count()
    tile.hover()
    tile.locator('[data-action="again"]').click()
    editor.wait_until(lambda: len(editor.jobs()) == jobs + 1, "it is made again")
    editor.wait_until(lambda: tiles.count() == shown + 1, "the new one comes up by itself")
    tiles.first.hover()
    tiles.first.locator('[data-action="delete"]').click()
    editor.page.locator("dialog").get_by_role("button", name="Delete").click()
    editor.wait_until(lambda: tiles.count() == shown, "it is gone")


DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const place = { bubbles: true, cancelable: true, dataTransfer: transfer, clientX: 600, clientY: 400 };
  const target = document.elementFromPoint(600, 400);
  for (const kind of ["dragenter", "dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, place));
}"""


def drop(editor: Editor, name: str, media: str, data: bytes) -> None:
    """Drop a file on the canvas."""
    editor.page.evaluate(DROP, [name, media, base64.b64encode(data).decode()])


def test_36_a_dropped_picture_opens_its_workflow_in_a_tab_of_its_own(editor: Editor, tmp_path: Path) -> None:
    import json

    editor.open(picture())
    made = graph(**{"a": {"type": "faults.Text", "params": {"text": "<b>hi", "seed": 2**64 - 1}}, "b": {"type": "Gone.Node"}})
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("nodegraph", json.dumps(made), zip=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "made.png", pnginfo=chunks)
    drop(editor, "made.png", "image/png", (tmp_path / "made.png").read_bytes())
    editor.page.get_by_role("button", name="Open its workflow").click()
    editor.wait_until(lambda: set(editor.nodes()) == {"a", "b"}, "the workflow is open")
    assert editor.nodes()["a"]["params"] == {"text": "<b>hi", "seed": str(2**64 - 1)}
    assert editor.nodes()["b"]["type"] == "Gone.Node", "what is not known is kept"
    assert len(editor.state()["tabs"]) == 2, "the other one stays"


def test_36_json_of_both_forms_opens_and_what_is_none_is_told(editor: Editor) -> None:
    editor.open(picture())
    api = b'{"1": {"class_type": "faults.Text", "inputs": {"text": "x"}}, "2": {"class_type": "faults.Save", "inputs": {"text": ["1", 0]}}}'
    drop(editor, "api.json", "application/json", api)
    editor.wait_until(lambda: set(editor.nodes()) == {"1", "2"}, "ComfyUI's API form is open")
    assert editor.nodes()["2"]["links"] == {"text": "1.out"}
    drop(editor, "note.txt", "text/plain", b"just words")
    editor.page.get_by_role("region", name="Notices").get_by_text("note.txt is no JSON").wait_for()


def test_36_a_picture_is_dragged_out_of_the_history(editor: Editor) -> None:
    editor.open(picture(150, prefix="dragged"))
    editor.run()
    show(editor, "history")
    tile = editor.panel("history").locator(".tile-open").first
    tile.drag_to(editor.page.locator("#canvas"), target_position={"x": 300, "y": 600})
    editor.wait_until(lambda: len(editor.state()["tabs"]) == 2, "it opens beside")
    assert set(editor.nodes()) == {"text", "save"}


class Wire:
    """What lies between the page's event stream and the server."""

    def __init__(self, editor: Editor) -> None:
        self._broken, self._open = False, set[Any]()
        editor.page.route_web_socket(re.compile("/api/v1/events"), self._pass)

    def _pass(self, socket: Any) -> None:
        if self._broken:
            socket.close(code=1001)
            return
        socket.connect_to_server()
        self._open.add(socket)

    def cut(self, broken: bool) -> None:
        """Break all streams, and refuse new ones for as long."""
        self._broken = broken
        while broken and self._open:
            self._open.pop().close(code=1001)


def test_52_a_broken_connection_is_told_and_nothing_is_lost_or_doubled(editor: Editor) -> None:
    wire = Wire(editor)
    name = editor.open(slow(1.5, 10))
    editor.expect("ERR_INTERNET_DISCONNECTED|WebSocket|failed: ")
    job = submitted(editor)
    context = editor.page.context
    wire.cut(True)
    context.set_offline(True)
    banner = editor.page.locator(".banner.connection")
    banner.wait_for(state="visible", timeout=8000)
    editor.press("Mod+Enter")
    editor.wait_until(lambda: run_state(editor) == "sending", "the run waits for the server")
    assert len([one for one in editor.jobs() if one["name"] == name]) == 1
    editor.ended(job)
    wire.cut(False)
    context.set_offline(False)
    banner.wait_for(state="hidden", timeout=8000)
    ours = lambda: [one for one in editor.jobs() if one["name"] == name]  # noqa: E731
    editor.wait_until(lambda: len(ours()) == 2, "the run was queued once", 10)
    editor.wait_until(lambda: editor.state()["jobs"][job]["state"] == "done", "what happened meanwhile is known")
    editor.ended(ours()[0]["id"])
    editor.wait_until(lambda: run_state(editor) == "idle", "all is done")
    assert len(ours()) == 2


def test_52_an_answer_that_is_lost_does_not_run_the_workflow_twice(editor: Editor) -> None:
    name = editor.open(slow(0.05, 2))
    editor.expect("failed: ")
    lost = 0

    def lose(route: Any) -> None:
        nonlocal lost
        lost += 1
        if lost == 1:
            route.fetch()  # it arrives, but nobody hears of it
            route.abort("connectionreset")
        else:
            route.continue_()

    editor.page.route("**/api/v1/jobs", lose)
    editor.press("Mod+Enter")
    editor.wait_until(lambda: lost >= 2, "it was sent again")
    editor.wait_until(lambda: run_state(editor) == "idle", "it was answered")
    assert len([job for job in editor.jobs() if job["name"] == name]) == 1


def test_52_a_run_that_is_not_answered_when_the_page_is_left_is_queued_once(editor: Editor) -> None:
    name = editor.open(slow(0.05, 2))
    editor.expect("failed: ")
    editor.page.route("**/api/v1/jobs", lambda route: route.abort("connectionrefused"))
    editor.press("Mod+Enter")
    editor.wait_until(lambda: run_state(editor) == "sending", "the run waits for the server")
    editor.page.unroute_all()
    ours = lambda: [job for job in editor.jobs() if job["name"] == name]  # noqa: E731
    editor.start(f"/?workflow={name.replace(' ', '%20')}")
    editor.wait_until(lambda: len(ours()) == 1, "the run is queued")
    editor.ended(ours()[0]["id"])
    editor.start(f"/?workflow={name.replace(' ', '%20')}")
    editor.wait_until(lambda: run_state(editor) == "idle", "nothing is sent again")
    assert len(ours()) == 1


def gated(**more: Json) -> dict[str, Json]:
    """Return a workflow that asks whether a picture is to be kept."""
    return graph(
        picture={"type": "LoadImage", "params": {"image": "example.png"}},
        look={"type": "Gate", "params": {"question": "Keep it?", **more}, "links": {"value": "picture.image"}},
        save={"type": "SaveImage", "links": {"images": "look.out"}},
    )


def test_a_question_is_answered_on_its_node(editor: Editor) -> None:
    editor.open(gated(choices="yes\nno"))
    job = editor.run()
    assert job["state"] == "waiting"
    asked = editor.node("look").locator("[data-question]")
    asked.wait_for(state="visible")
    assert "Keep it?" in asked.inner_text()
    assert asked.locator("img").count() == 1
    assert editor.page.title().startswith("? ")
    asked.get_by_role("button", name="yes").click()
    editor.wait_until(lambda: editor.server.job(job["id"])["state"] == "done", "the job goes on", 30)
    assert editor.server.job(job["id"])["answers"] == {"look": "yes"}
    editor.wait_until(lambda: asked.count() == 0, "the question is gone")


def test_pictures_are_chosen_on_the_node(editor: Editor) -> None:
    document = graph(
        picture={"type": "LoadImage", "params": {"image": "example.png"}},
        many={"type": "RepeatImageBatch", "params": {"amount": 3}, "links": {"image": "picture.image"}},
        pick={"type": "ChooseImage", "params": {"several": True}, "links": {"images": "many.out"}},
        save={"type": "SaveImage", "links": {"images": "pick.images"}},
    )
    editor.open(document)
    job = editor.run()
    asked = editor.node("pick").locator("[data-question]")
    editor.wait_until(lambda: asked.locator("[data-choice]").count() == 3, "all are shown")
    asked.locator('[data-choice="2"]').click()
    asked.locator('[data-choice="0"]').click()
    asked.get_by_role("button", name="Choose 2").click()
    editor.wait_until(lambda: editor.server.job(job["id"])["state"] == "done", "the job goes on", 30)
    job = editor.server.job(job["id"])
    assert job["answers"] == {"pick": [0, 2]}
    assert len(job["outputs"]) >= 2

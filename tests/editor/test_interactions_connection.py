"""Broken connections (interaction 52 of the editor), and questions that are answered on their node."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.editor.driver import Editor
from tests.editor.runs import graph, jobs_named, run_state, slow, submitted

Json = Any


pytestmark = pytest.mark.usefixtures("nothing_runs")


class Wire:
    """What lies between the page's event stream and the server."""

    def __init__(self, editor: Editor) -> None:
        self._broken, self.open = False, set[Any]()
        editor.page.route_web_socket(re.compile("/api/v1/events"), self._pass)

    def _pass(self, socket: Any) -> None:
        if self._broken:
            socket.close(code=1001)
            return
        server = socket.connect_to_server()
        self.open.add(socket)

        def left(code: int | None, reason: str | None) -> None:
            self.open.discard(socket)
            server.close()

        socket.on_close(left)

    def cut(self, broken: bool) -> None:
        """Break all streams, and refuse new ones for as long."""
        self._broken = broken
        while broken and self.open:
            self.open.pop().close(code=1001)


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
    assert len(jobs_named(editor, name)) == 1
    editor.ended(job)
    wire.cut(False)
    context.set_offline(False)
    editor.page.evaluate("() => [1, 2, 3].forEach(() => dispatchEvent(new Event('online')))")
    banner.wait_for(state="hidden", timeout=8000)
    editor.wait_until(lambda: len(wire.open) == 1, "there is one stream, however often it was asked for")
    editor.wait_until(lambda: len(jobs_named(editor, name)) == 2, "the run was queued once", 10)
    editor.wait_until(lambda: editor.state()["jobs"][job]["state"] == "done", "what happened meanwhile is known")
    editor.ended(jobs_named(editor, name)[0]["id"])
    editor.wait_until(lambda: run_state(editor) == "idle", "all is done")
    assert len(jobs_named(editor, name)) == 2


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
    assert len(jobs_named(editor, name)) == 1


def test_52_a_run_that_is_not_answered_when_the_page_is_left_is_queued_once(editor: Editor) -> None:
    name = editor.open(slow(0.05, 2))
    editor.expect("failed: ")
    editor.page.route("**/api/v1/jobs", lambda route: route.abort("connectionrefused"))
    editor.press("Mod+Enter")
    editor.wait_until(lambda: run_state(editor) == "sending", "the run waits for the server")
    editor.page.unroute_all()
    editor.start(f"/?workflow={name.replace(' ', '%20')}")
    editor.wait_until(lambda: len(jobs_named(editor, name)) == 1, "the run is queued")
    editor.ended(jobs_named(editor, name)[0]["id"])
    editor.start(f"/?workflow={name.replace(' ', '%20')}")
    editor.wait_until(lambda: run_state(editor) == "idle", "nothing is sent again")
    assert len(jobs_named(editor, name)) == 1


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

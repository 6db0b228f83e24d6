"""Broken storage, broken plugins and streams of another version: the page goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.editor.driver import Editor
from tests.editor.runs import graph

pytestmark = pytest.mark.usefixtures("nothing_runs")


def test_what_the_browser_stored_may_be_broken(editor: Editor) -> None:
    tabs = {"w": {"tabs": [None, 3, {}, {"id": ""}, {"id": "t", "name": 5}], "current": {}}, "v": 7}
    settings = {"theme": 5, "dockWidth": "x", "keys": {"edit.undo": 7}, "recent": {"LoadImage": "x"}, "dock": "open"}
    junk = {
        "nodegraph.settings": json.dumps({**settings, "dockTab": "gone"}),
        "nodegraph.tabs": json.dumps(tabs),
        "nodegraph.unsaved.t": '{"document": 7',
        "nodegraph.outbox.x": "[{}]",
        "nodegraph.window": "\\u0000{",
    }
    editor.page.add_init_script(
        f"for (const [key, value] of {json.dumps(list(junk.items()))}) localStorage[key] = sessionStorage[key] = value;"
    )
    editor.start()
    editor.wait_until(lambda: "sample" in editor.nodes(), "the first workflow is open")
    editor.page.evaluate("""() => {
      const channel = new BroadcastChannel("nodegraph.windows");
      for (const junk of [null, 1, "x", {}, {ask: {}}, {here: 1, to: {}}]) channel.postMessage(junk);
      window.dispatchEvent(new StorageEvent("storage", {key: "nodegraph.tabs", newValue: "{"}));
      window.postMessage({ask: 1}, "*");
    }""")
    editor.field("sample", "steps").fill("7")
    editor.press("Tab")
    editor.page.evaluate("() => document.activeElement.blur()")
    editor.press("Shift+A")
    editor.page.locator('[data-chooser="palette"] [role=option]').first.wait_for()
    assert editor.nodes()["sample"]["params"]["steps"] == 7


BROKEN = """
  const constructor = () => { throw new Error("made"); };
  customElements.define("good-stars", class extends HTMLElement { constructor() { super(); constructor(); } });
"""
SULKING = """
  customElements.define("good-stars", class extends HTMLElement {
    set value(value) { throw new Error("value"); }
    set disabled(value) { throw new Error("disabled"); }
    connectedCallback() { throw new Error("connected"); }
  });
  customElements.define("good-stars", class extends HTMLElement {});
"""
RATED = {
    "format": 1,
    "nodes": {"rate": {"type": "good.Rate", "params": {"stars": 2}}, "n": {"type": "faults.Add"}},
    "view": {"rate": {"x": 0, "y": 0}, "n": {"x": 400, "y": 0}},
}


@pytest.mark.parametrize(
    "module", [BROKEN, SULKING, "await new Promise(() => {})"], ids=["broken", "sulking", "endless"]
)
def test_an_element_of_a_plugin_that_fails_leaves_a_plain_field_and_the_page(editor: Editor, module: str) -> None:
    editor.expect("error: |console: ")
    script = {"content_type": "text/javascript", "body": module}
    editor.page.route("**/stars.js*", lambda route: route.fulfill(**script))
    editor.open(RATED)
    if "promise" not in module.lower():
        editor.notice("could not be drawn")
    field = editor.field("rate", "stars")
    field.fill("4")
    field.press("Tab")
    editor.wait_until(lambda: editor.nodes()["rate"]["params"] == {"stars": 4}, "the plain field is used")
    editor.click(editor.node("n").locator(".node-header"))
    editor.press("Delete")
    editor.wait_until(lambda: set(editor.nodes()) == {"rate"}, "the page goes on")


def test_a_stream_of_another_version_is_followed_as_far_as_it_is_known(editor: Editor) -> None:
    def follow(socket: Any) -> None:
        server = socket.connect_to_server()

        def passing(message: Any) -> None:
            socket.send(message)
            if isinstance(message, str) and '"snapshot"' in message:
                later = [
                    {"type": "later.thing"},
                    {"type": "job.dreams", "job": "j", "data": {"id": "j", "state": "dreams"}},
                ]
                for junk in (
                    "{",
                    "7",
                    "{}",
                    '{"type":"later"}',
                    json.dumps({"type": "events", "events": [None, *later]}),
                ):
                    socket.send(junk)
                for data in (b"", b"\x00", b"\xff\xff\xff\xff{", b"\x00\x00\x00\x02[]"):
                    socket.send(data)

        server.on_message(passing)

    editor.page.route_web_socket("**/api/v1/events*", follow)
    editor.open(graph(add={"type": "faults.Add", "params": {"a": 1}}))
    assert editor.run()["state"] == "done"
    editor.wait_until(
        lambda: any(job["state"] == "done" for job in editor.state()["jobs"].values()), "what is known is followed"
    )
    assert "j" not in editor.state()["jobs"]

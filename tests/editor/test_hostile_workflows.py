"""Workflows, plugins and servers that mean ill: what they say is shown as text, and the page goes on."""

from __future__ import annotations

import base64
import json
from functools import partial
from typing import Any

import pytest

from tests.editor.driver import Editor
from tests.editor.runs import graph, show
from tests.faults.harness import Server

Json = Any
MARKUP = '<img src=x onerror="window.ran=1"><b class=made>bold</b>'
STRINGS = (
    MARKUP,
    '"><svg onload=window.ran=1>',
    "javascript:window.ran=1",
    "'];window.ran=1;//",
    'a"]b[c\\',
    "red;background:url(//evil.invalid/x)",
    "\u202etxt.exe",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "</script><script>window.ran=1</script>",
)
"""What is said wherever somebody else may say something."""

WATCH = """
  window.violations = [];
  document.addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective));
"""
DROP = """([name, media, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: media }));
  const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer, clientX: 600, clientY: 400 });
  document.querySelector("#canvas").dispatchEvent(event);
}"""
PASTE = """(text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData }));
}"""
INLINE = """() => {
  const script = document.createElement("script");
  script.textContent = "window.ran = 1";
  document.body.append(script);
  script.remove();
}"""
"""What somebody would do who could add to the page after all."""

MADE = "b.made, img[src='x'], svg[onload], a[href^='javascript'], [onerror], [style*='evil'], body script"


pytestmark = pytest.mark.usefixtures("nothing_runs")


def drop(editor: Editor, document: Json, name: str = "dropped.json", media: str = "application/json") -> None:
    """Drop a file on the canvas."""
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    editor.page.evaluate(DROP, [name, media, base64.b64encode(data).decode()])


def opened(editor: Editor, document: Json, name: str = "dropped.json") -> None:
    """Drop a workflow and wait until it is open."""
    drop(editor, document, name)
    wanted = set(document["nodes"]) - {"__proto__"}  # which is lost on the way out of the browser
    editor.wait_until(lambda: set(editor.nodes()) == wanted, f"{name} is open")


def harmless(editor: Editor) -> None:
    """Nothing of what was shown became more than text, and nothing was fetched that was not the editor's own."""
    assert editor.page.evaluate("() => [window.ran, {}.polluted, window.violations]") == [None, None, []]
    assert editor.page.locator(MADE).count() == 0


def find(editor: Editor, id: str) -> None:
    editor.press("Escape", "Mod+F")
    found = editor.page.locator('[data-chooser="find"]')
    found.wait_for()
    editor.page.keyboard.type(id)
    editor.press("Enter")
    found.wait_for(state="hidden")


def hostile() -> Json:
    """Return a workflow that says every one of the strings wherever a file may say anything."""
    nodes: dict[str, Json] = {
        "__proto__": {"type": "faults.Text", "params": {"text": MARKUP, "seed": 1}},
        "constructor": {"graph": "toString", "params": dict.fromkeys(STRINGS, MARKUP)},
        "lora": {"type": "LoraLoader", "params": {"lora_name": MARKUP}},
        "kind": {"type": "hostile.Type", "params": {"one": STRINGS[1]}},
    }
    for at, text in enumerate(STRINGS):
        params = dict.fromkeys(STRINGS, text)
        nodes[f"n{at}"] = {"type": text, "params": params, "links": {"in": f"gone.{text}", text: f"constructor.{text}"}}
    view: dict[str, Json] = {
        id: {"x": 30 * at, "y": 40 * at, "title": STRINGS[at % len(STRINGS)], "color": STRINGS[at % len(STRINGS)]}
        for at, id in enumerate(nodes)
    }
    box = {"x": -300, "y": 0, "width": 200, "height": 90}
    view[".notes"] = {text: {**box, "text": text, "color": text} for text in STRINGS}
    view[".frames"] = {text: {**box, "title": text, "color": text} for text in STRINGS}
    view[".routes"] = {f"n1.{text}": [{"x": 1, "y": 2}] for text in STRINGS}
    return {
        "format": 1,
        "nodes": nodes,
        "inputs": dict.fromkeys(STRINGS, "__proto__.text") | {"prompt": ["__proto__.text"]},
        "outputs": {text: f"n0.{text}" for text in STRINGS},
        "subgraphs": {"toString": {"nodes": {"__proto__": {"type": MARKUP}}, "meta": {"title": MARKUP, "doc": MARKUP}}},
        "view": view,
        "meta": {"title": MARKUP, "description": MARKUP},
        "__proto__": {"polluted": 1},
    }


def with_a_hostile_type(route: Any) -> None:
    """Answer the node types with one of a plugin that means ill."""
    response = route.fetch(headers={**route.request.headers, "if-none-match": ""})
    answer = response.json()
    text = {"type": "string", "title": MARKUP, "description": MARKUP, "default": MARKUP}
    choice = {"enum": list(STRINGS), "default": MARKUP, "description": MARKUP}
    answer["nodes"]["hostile.Type"] = {
        "title": MARKUP,
        "description": f"{MARKUP}\n\n[a link](javascript:window.ran=1) `{MARKUP}`\n\n- {MARKUP}",
        "x-category": MARKUP,
        "x-plugin": MARKUP,
        "x-deprecated": MARKUP,
        "properties": {"params": {"properties": {"one": choice, MARKUP: text}}},
        "x-inputs": {"one": {"type": MARKUP}, MARKUP: {"type": "str", "required": True}},
        "x-outputs": {text: text for text in STRINGS},
    }
    route.fulfill(response=response, json=answer)


def test_whatever_a_file_a_plugin_or_the_server_says_is_text(editor: Editor) -> None:
    editor.page.add_init_script(WATCH)
    editor.page.route("**/api/v1/nodes*", with_a_hostile_type)
    editor.expect(r"^422: POST /api/v1/jobs")
    editor.start()
    opened(editor, hostile(), f"{MARKUP}.json")
    editor.press("Shift+1")
    editor.node("n0").wait_for()
    assert MARKUP in editor.node("__proto__").inner_text()
    for id in ("__proto__", "kind", "n4"):
        find(editor, id)
        for panel in ("help", "outline", "problems"):
            if not editor.panel(panel).is_visible():
                show(editor, panel)
        editor.press("Shift+F10", "Escape")
        harmless(editor)
    show(editor, "help")
    editor.page.evaluate("() => document.querySelector('#canvas').focus()")
    editor.press("Shift+A")
    editor.page.keyboard.type("hostile")
    editor.page.locator('[data-chooser="palette"] [role=option]').first.wait_for()
    harmless(editor)
    editor.press("Escape", "Mod+Enter")
    editor.wait_until(lambda: editor.page.locator(".toast").count(), "why it cannot run is told")
    show(editor, "problems")
    harmless(editor)
    editor.page.locator('[data-banner="missing"] [data-action="show"]').click()
    assert MARKUP in editor.page.locator('[data-dialog="missing"]').inner_text()
    harmless(editor)
    editor.press("Escape")
    editor.expect("console: .*inline script")
    editor.page.evaluate(INLINE)
    assert editor.page.evaluate("() => [window.ran, window.violations]") == [None, ["script-src-elem"]]
    written = editor.document()
    for part in ("nodes", "inputs", "outputs", "subgraphs", "meta"):
        assert set(written[part]) == set(hostile()[part]) - {"__proto__"}, part
    assert set(written["view"][".notes"]) == set(STRINGS) - {"__proto__"}


def test_names_of_jobs_and_errors_of_the_server_are_text(editor: Editor, server: Server) -> None:
    editor.page.add_init_script(WATCH)
    editor.expect(r"^(500|422|400)")
    server.submit({"workflow": graph(a={"type": "faults.Text", "params": {"text": MARKUP}})}, name=MARKUP)
    problem = {"code": MARKUP, "message": MARKUP, "node": MARKUP, "field": MARKUP}
    error = {"error": {"code": MARKUP, "message": MARKUP, "problems": [problem], "reference": MARKUP}}
    editor.start("/?workflow=%3Cimg%20src=x%20onerror=window.ran=1%3E")
    editor.notice("could not be opened")
    show(editor, "queue")
    editor.panel("queue").get_by_text("onerror").first.wait_for()
    editor.page.route("**/api/v1/jobs", lambda route: route.fulfill(status=422, json=error))
    editor.press("Mod+Enter")
    show(editor, "problems")
    editor.panel("problems").get_by_text("onerror").first.wait_for()
    editor.page.route(
        "**/api/v1/system", lambda route: route.fulfill(status=500, body=MARKUP, content_type="text/html")
    )
    editor.page.get_by_role("button", name="Menu", exact=True).click()
    editor.command("server.open").click()
    editor.notice("the server answered 500")
    harmless(editor)


@pytest.mark.parametrize("link", ["workflow=../jobs", "template=../../workflows", "job=.."])
def test_a_link_has_nothing_asked_but_what_it_names(editor: Editor, link: str) -> None:
    editor.expect(r"^(400|404)")
    asked: list[str] = []
    editor.page.on("request", lambda request: asked.append(request.url.removeprefix(editor.server.url)))
    editor.start(f"/?{link}")
    editor.notice("here.")
    kind = link.split("=")[0]
    named = [path for path in asked if "252E" in path]
    assert named
    assert all(path.startswith(f"/api/v1/{kind}s/") for path in named)


def nested(levels: int) -> Json:
    inner: Json = {"nodes": {"x": {"type": "LoadImage"}}}
    for _ in range(levels):
        inner = {"nodes": {"i": {"graph": "g"}}, "subgraphs": {"g": inner}}
    return {"format": 1, **inner}


def laughs(levels: int, each: int) -> Json:
    """Return subgraphs of instances of the next each, more in all than anybody could visit."""
    subgraphs = {
        f"g{level}": {"nodes": {f"i{at}": {"graph": f"g{level + 1}"} for at in range(each)}, "outputs": {"o": "i0.o"}}
        for level in range(levels)
    }
    subgraphs[f"g{levels}"] = {"nodes": {"x": {"type": "LoadImage"}}, "outputs": {"o": "x.image"}}
    return {"format": 1, "nodes": {"laugh": {"graph": "g0"}}, "subgraphs": subgraphs}


FAR = 1e308
ODD: dict[str, Json] = {
    "far": {
        "nodes": {"a": {"type": "LoadImage"}, "b": {"type": "SaveImage", "links": {"images": "a.image"}}},
        "view": {
            "a": {"x": FAR, "y": -FAR},
            "b": {"x": -FAR, "y": 9e307, "width": -FAR, "rows": {"x": -1}},
            ".frames": {"f": {"x": 0, "y": 0, "width": -5, "height": FAR, "collapsed": True}},
            ".notes": {"n": {"x": FAR, "y": FAR, "width": FAR, "height": -FAR, "text": "far"}},
            ".routes": {"b.images": [{"x": FAR, "y": FAR}, {"x": -FAR, "y": 0}]},
        },
    },
    "itself": {
        "nodes": {"top": {"graph": "a"}},
        "subgraphs": {
            "a": {"nodes": {"i": {"graph": "a"}, "j": {"graph": "b"}}, "inputs": {"x": "i.x"}, "outputs": {"o": "i.o"}},
            "b": {"nodes": {f"k{at}": {"graph": "a"} for at in range(5)}, "outputs": {"o": "k0.o"}},
        },
    },
    "laughs": laughs(30, 10),
    "loose": {
        "nodes": {
            "p": {"type": "SaveImage", "links": {"images": "nobody.out"}},
            "q": {"type": "SaveImage", "links": {"images": "q.q"}},
            "r": {"graph": "nothing", "links": {"": "."}},
        },
        "inputs": {"lost": ["nobody.x", "q.nothing"], "none": []},
        "outputs": {"lost": "nobody.out"},
    },
    "long": {
        "nodes": {"t": {"type": "CLIPTextEncode", "params": {"text": "(word) " * 50_000}}},
        "view": {
            "t": {"x": 0, "y": 0, "title": "T" * 100_000},
            ".notes": {"n": {"x": 0, "y": 400, "text": "n" * 10**5}},
        },
    },
    "notes": {
        "nodes": {"z": {"type": "LoadImage"}},
        "view": {
            "z": {"x": 0, "y": 0},
            ".notes": {
                f"n{at}": {"x": at % 300 * 300, "y": at // 300 * 200, "text": f"note {at}"} for at in range(1_000)
            },
        },
    },
}


def test_odd_workflows_are_opened_looked_at_and_edited(editor: Editor) -> None:
    editor.expect(r"^(413|422): (POST|PUT)")
    editor.start()
    for name, part in ODD.items():
        opened(editor, {"format": 1, **part}, f"{name}.json")
        editor.press("Shift+1")
        editor.press("Escape", "Mod+F")
        editor.page.locator('[data-chooser="find"] [role=option]').first.wait_for()
        editor.press("Escape", "Mod+A", "ArrowRight")
        editor.wait_until(lambda: editor.state()["canUndo"], f"{name} is moved")
        editor.press("Mod+Z")
        editor.wait_until(lambda: not editor.state()["canUndo"], f"{name} is as it was")
        assert editor.unexpected() == [], name
    tabs = {tab["title"] for tab in editor.state()["tabs"]}
    assert set(ODD) <= tabs


def test_a_subgraph_that_holds_itself_is_entered_and_left(editor: Editor) -> None:
    editor.start()
    opened(editor, {"format": 1, **ODD["itself"]}, "itself.json")
    for depth, id in enumerate(("top", "i", "i", "j"), 1):
        editor.click(editor.node(id).locator(".node-body"), count=2)
        editor.wait_until(partial(lambda wanted: len(editor.state()["path"]) == wanted, depth), f"{id} is entered")
    for _ in range(4):
        editor.press("Escape", "Escape")
    editor.wait_until(lambda: editor.state()["path"] == [], "all are left")


REFUSED: tuple[tuple[str, bytes, str], ...] = (
    ("nested.json", json.dumps(nested(200)).encode(), "nested"),
    (
        "deep.json",
        b'{"format": 1, "nodes": {"a": {"type": "X", "params": {"v": %s}}}}' % (b"[" * 9000 + b"]" * 9000),
        "deep",
    ),
    ("cut.json", b'{"format": 1, "nodes"', "is no JSON"),
    ("quotes.json", json.dumps({"format": 1, "nodes": {MARKUP: {"type": "X"}}}).encode(), "letters, digits"),
    ("later.json", b'{"format": 99, "nodes": {}}', "format 99"),
    ("list.json", b"[1, 2]", "no workflow"),
    ("page.html", MARKUP.encode(), "is no JSON"),
)


def test_what_is_no_workflow_is_refused_in_words(editor: Editor) -> None:
    editor.start()
    before = len(editor.state()["tabs"])
    for name, data, words in REFUSED:
        drop(editor, data, name)
        editor.notice(words)
        text = data.decode()
        editor.page.evaluate(PASTE, text)
        editor.wait_until(lambda: editor.page.locator(".toast").last.inner_text() != "", name)
    assert len(editor.state()["tabs"]) == before
    assert not editor.state()["canUndo"]
    editor.page.evaluate(PASTE, json.dumps({"nodegraph": "clipboard", "nodes": {"a b": {"type": "X"}}}))
    editor.notice("could not be pasted")
    harmless_page = "() => document.querySelectorAll(\"b.made, img[src='x']\").length"
    assert editor.page.evaluate(harmless_page) == 0

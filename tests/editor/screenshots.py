"""Take the pictures of `nodegraph/docs/editor.md` anew: `python -m tests.editor.screenshots [name ...]`.

Each function that is marked as a picture has the editor do something and says what part of the page is shown. It begins
with a page of its own, on a server with the bundled model, whose jobs and files are those of the pictures before.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from playwright.sync_api import sync_playwright

from nodegraph import resources
from tests.editor.driver import Editor
from tests.faults.harness import Servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FloatRect, Locator

    from tests.faults.harness import Server

    Shown = Locator | FloatRect | None
    """An element, a part of the window, or all of it."""

Json = Any
DATA = Path(__file__).parent / "data"
FOLDER = resources.docs() / "images"
WINDOW = {"width": 1280, "height": 760}
PHONE = {"width": 390, "height": 844}
DOCK: FloatRect = {"x": 700, "y": 44, "width": 580, "height": 460}
QUALITY = 82
PROMPTS = (
    "a large green star on a white background",
    "a large orange triangle on a blue background",
    "a small purple circle below a large yellow star on a black background",
    "a large red square on a green background",
)
SETTINGS = {"tourSeen": True, "minimap": False}


@dataclass(frozen=True)
class Picture:
    """How a picture is taken."""

    theme: str
    take: Callable[[Editor], Shown]
    window: dict[str, int]


PICTURES: dict[str, Picture] = {}


def picture(theme: str, window: dict[str, int] = WINDOW) -> Callable[[Callable[[Editor], Shown]], None]:
    """Mark a function as a picture, in these colours; its name is the picture's."""

    def mark(take: Callable[[Editor], Shown]) -> None:
        PICTURES[take.__name__.rstrip("_")] = Picture(theme, take, window)

    return mark


def workflow(**changes: Json) -> dict[str, Json]:
    """Return text to image with a subgraph, a frame and a note; `changes` are parameters of its sampler."""
    document: dict[str, Json] = json.loads((DATA / "pictures_shapes.json").read_text(encoding="utf-8"))
    document["nodes"]["sample"]["params"].update(changes)
    return document


def save(editor: Editor, document: dict[str, Json], name: str) -> None:
    """Save a workflow, in place of what has its name."""
    known = {item["name"] for item in editor.server.ask("GET", "/workflows?limit=1000")["items"]}
    headers: dict[str, Any] = {"If_Match": "*"} if name in known else {"If_None_Match": "*"}
    editor.server.ask("PUT", f"/workflows/{name}", document, **headers)


def show(editor: Editor, document: dict[str, Json], name: str) -> None:
    """Save a workflow in place of what has its name, and open it."""
    save(editor, document, name)
    editor.start(f"/?workflow={name}")
    editor.wait_until(lambda: set(editor.nodes()) == set(document["nodes"]), f"{name} is open")
    editor.page.wait_for_function("() => !document.querySelector('.canvas-layer').hidden")


def panel(editor: Editor, name: str) -> Locator:
    """Show a panel, and everything of the canvas beside it."""
    editor.command(f"panel.{name}").click()
    found = editor.panel(name)
    found.wait_for()
    fit(editor)
    return found


def fit(editor: Editor) -> None:
    """Show everything; the camera is there when two looks are the same."""
    editor.page.locator("#zoom").get_by_role("button", name="Show everything").click()
    editor.page.mouse.move(640, 740)
    before = None
    while before != (before := editor.state()["view"]):
        editor.page.wait_for_timeout(100)


def run(editor: Editor) -> None:
    """Run the workflow, and on a new page again: what is there already is reused, and has no preview."""
    editor.run(lambda: editor.command("run.run").click())
    editor.page.reload()
    editor.node("save").wait_for()
    editor.run(lambda: editor.command("run.run").click())
    editor.page.locator(".media-picture[src]").first.wait_for()


@picture("dark")
def dark(editor: Editor) -> Shown:
    show(editor, workflow(), "shapes")
    run(editor)
    fit(editor)
    return None


@picture("light")
def light(editor: Editor) -> Shown:
    for text in PROMPTS:
        document = workflow()
        document["nodes"]["prompt"]["params"]["text"] = text
        editor.server.submit({"workflow": document, "targets": ["save"]}, name="shapes")
    editor.server.submit({"workflow": workflow(seed=3), "targets": ["save"]}, name="shapes")
    editor.server.idle()
    show(editor, workflow(), "shapes")
    run(editor)
    panel(editor, "history")
    editor.page.wait_for_function("() => [...document.querySelectorAll('.tile img')].every((one) => one.complete)")
    return None


@picture("light")
def palette(editor: Editor) -> Shown:
    show(editor, workflow(), "shapes")
    editor.drag(editor.port("decode", "out:out"), (540, 420))
    editor.page.locator('[data-chooser="palette"]').wait_for()
    return {"x": 300, "y": 200, "width": 980, "height": 560}


@picture("dark")
def fields(editor: Editor) -> Shown:
    document = json.loads((DATA / "pictures_fields.json").read_text(encoding="utf-8"))
    show(editor, document, "fields")
    return {"x": 100, "y": 190, "width": 1080, "height": 380}


@picture("light")
def subgraph(editor: Editor) -> Shown:
    show(editor, workflow(), "shapes")
    editor.click(editor.node("enlarge").locator(".node-header"))
    editor.press("Enter")
    editor.node("scale").wait_for()
    fit(editor)
    return {"x": 44, "y": 44, "width": 1000, "height": 500}


@picture("dark")
def queue(editor: Editor) -> Shown:
    show(editor, workflow(steps=400, seed=1), "shapes")
    for seed in range(2, 5):
        work = {"workflow": workflow(steps=400, seed=seed), "targets": ["save"]}
        editor.server.submit(work, name=f"shapes, seed {seed}")
    panel(editor, "queue")
    editor.wait_until(lambda: "left" in editor.page.locator(".job-text").first.inner_text(), "the time left is told")
    editor.page.locator(".job").nth(1).hover()
    return DOCK


@picture("dark", {"width": 860, "height": 620})
def compare(editor: Editor) -> Shown:
    for job in editor.server.ask("GET", "/jobs?state=queued&state=running")["items"]:
        editor.server.ask("POST", f"/jobs/{job['id']}/cancel")
    show(editor, workflow(), "shapes")
    panel(editor, "history")
    for place in (0, 2):
        editor.page.locator(".tile").nth(place).get_by_role("checkbox").check()
    editor.page.locator('.history-chosen [data-action="compare"]').click()
    editor.page.wait_for_function("() => [...document.querySelectorAll('.compare img')].every((one) => one.complete)")
    return None


@picture("light")
def diff(editor: Editor) -> Shown:
    show(editor, workflow(), "differs")
    changed = workflow(steps=30, cfg=4.5)
    changed["nodes"]["prompt"]["params"]["text"] = "a large green star on a white background"
    changed["nodes"]["preview"] = {"type": "PreviewImage", "links": {"images": "decode.out"}}
    show(editor, changed, "differs")
    editor.page.locator('[data-menu-button="main"]').click()
    editor.command("file.diff").click()
    editor.page.locator('[data-choice="compare"]').click()
    editor.page.locator(".diff").wait_for()
    return editor.page.locator("dialog").last


@picture("dark", PHONE)
def phone(editor: Editor) -> Shown:
    show_form(editor)
    return None


@picture("light")
def form(editor: Editor) -> Shown:
    show_form(editor)
    return None


def show_form(editor: Editor) -> None:
    """Run a workflow from its form."""
    document = workflow()
    document["inputs"] = {"prompt": "prompt.text", "seed": "sample.seed", "steps": "sample.steps"}
    save(editor, document, "form")
    editor.start("/?workflow=form&form")
    start = editor.panel("form").locator(".form-run .primary")
    start.wait_for()
    editor.run(start.click)
    editor.page.locator(".form-made img").wait_for()
    editor.page.wait_for_function("() => document.querySelector('.form-made img').complete")


@picture("dark")
def outline(editor: Editor) -> Shown:
    show(editor, workflow(), "shapes")
    tree = panel(editor, "outline")
    tree.get_by_role("treeitem").nth(1).focus()
    editor.press("ArrowRight")
    return DOCK


@picture("light")
def problems(editor: Editor) -> Shown:
    document = workflow(steps=0)
    document["nodes"]["model"]["params"]["ckpt_name"] = "a_model_of_yours.safetensors"
    show(editor, document, "wrong")
    editor.command("run.run").click()
    editor.page.locator(".toast").get_by_role("button", name="Put away").click()
    panel(editor, "problems").locator(".problem").first.wait_for()
    return {**DOCK, "height": 300}


@picture("light")
def help_(editor: Editor) -> Shown:
    show(editor, workflow(), "shapes")
    panel(editor, "help")
    editor.click(editor.node("sample").locator(".node-header"))
    editor.panel("help").locator('[data-help="KSampler"]').wait_for()
    return {**DOCK, "height": 560}


@picture("dark", {"width": 900, "height": 680})
def mask(editor: Editor) -> Shown:
    show(editor, json.loads((DATA / "pictures_fields.json").read_text(encoding="utf-8")), "fields")
    editor.node("load").locator('[data-action="paint"]').click()
    stage = editor.page.locator(".mask-stage")
    stage.wait_for()
    x, y = editor.place(stage)
    editor.drag((x - 90, y - 120), (x + 60, y - 150), (x + 40, y - 60), (x - 70, y - 70))
    return editor.page.locator(".mask-dialog")


@picture("light")
def templates(editor: Editor) -> Shown:
    editor.start()
    editor.command("file.templates").click()
    found = editor.page.locator('[data-dialog="templates"]')
    found.locator(".miniature").nth(1).wait_for()
    return found


def take(browser: Browser, server: Server, name: str) -> None:
    """Take a picture and put it where the page finds it."""
    told = PICTURES[name]
    with browser.new_context(viewport=told.window, color_scheme=told.theme, reduced_motion="reduce") as context:  # type: ignore[arg-type]
        context.request.get(server.url + server.ask("POST", "/users/owner/link")["path"])
        script = f"localStorage.setItem('nodegraph.settings', {json.dumps(json.dumps(SETTINGS))})"
        context.add_init_script(script)
        editor = Editor(context.new_page(), server)
        shown = told.take(editor)
        editor.page.wait_for_timeout(300)
        if shown is None:
            taken = editor.page.screenshot()
        elif isinstance(shown, dict):
            taken = editor.page.screenshot(clip=shown)
        else:
            taken = shown.screenshot()
    Image.open(BytesIO(taken)).convert("RGB").save(FOLDER / f"editor_{name}.webp", quality=QUALITY, method=6)


def main(chosen: list[str]) -> None:
    """Take the pictures named, or all."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        servers = Servers(Path(folder))
        server = servers.start("--workers", "1", "--no-plugins")
        try:
            browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            for name in chosen or PICTURES:
                take(browser, server, name)
        finally:
            servers.end()


if __name__ == "__main__":
    main(sys.argv[1:])

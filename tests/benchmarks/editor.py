"""Measures the editor in a browser: `python -m tests.benchmarks.editor [--nodes 1000] [--repeats 5]`.

A server of its own with a workflow of many nodes, two links a node, and headless Chromium of 1600x900 in front of it.
Pointer, wheel and keys are real ones. A frame is the time between two animation frames while the pointer moves; mount,
undo and the palette are counted from the event to the frame after the one that shows it. Other work on the machine
makes all of this longer. Exits with 1 where a median is over its limit.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.editor.driver import SIZE, Editor
from tests.faults.harness import Servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOUNT, FRAME, UNDO, PALETTE = 100.0, 17.5, 100.0, 50.0
"""Limits in milliseconds: of showing a tab, of a frame, of undoing a paste of all nodes, of opening the palette."""

FRAMES = """() => {
  const times = [];
  let go = true;
  const step = (now) => { times.push(now); if (go) requestAnimationFrame(step); };
  requestAnimationFrame(step);
  window.__frames = () => { go = false; return times.slice(1).map((time, i) => time - times[i]); };
}"""
"""Takes the times of animation frames until `__frames` is asked for them."""

EVENT = """([type, key, ready]) => {
  window.__took = new Promise((resolve) => {
    const listen = (event) => {
      if (key && event.key.toLowerCase() !== key) return;
      window.removeEventListener(type, listen, { capture: true });
      const start = performance.now();
      const look = () => {
        const channel = new MessageChannel();  // its message comes when the frame is done
        channel.port1.onmessage = () => {
          const took = performance.now() - start;
          if (!ready || took > 5000 || document.querySelector(ready)) resolve(took);
          else requestAnimationFrame(look);
        };
        channel.port2.postMessage(null);
      };
      requestAnimationFrame(look);
    };
    window.addEventListener(type, listen, { capture: true });
  });
}"""
"""Takes the time from the next event of a type, by a key if one is told, to the end of the frame that shows it."""


def workflow(count: int) -> dict[str, Any]:
    """Return a workflow of samplers, prompts and pictures with two links a node."""
    nodes: dict[str, Any] = {}
    view: dict[str, Any] = {}
    for index in range(count):
        kind, base = index % 5, index - index % 5
        earlier = max(0, base - 5)
        if kind == 0:
            node: dict[str, Any] = {"type": "CLIPTextEncode", "params": {"text": f"picture number {index}, on a table"}}
        elif kind in {1, 2}:
            sources = {"positive": f"n{base}.out", "negative": f"n{earlier}.out", "latent_image": f"n{earlier + 1}.out"}
            links = sources if base else dict.fromkeys(("positive", "negative"), "n0.out")
            node = {"type": "KSampler", "params": {"seed": index, "steps": 20}, "links": links}
        else:
            first, second = (base + 3, earlier + 4) if kind == 4 and base else (earlier + 3, earlier + 4)
            links = {"image1": f"n{first}.out", "image2": f"n{second}.out"} if base else {}
            node = {"type": "ImageBatch", "links": links}
        nodes[f"n{index}"] = node
        view[f"n{index}"] = {"x": index % 32 * 340, "y": index // 32 * 420}
    return {"format": 1, "nodes": nodes, "view": view}


class Measured:
    """What is measured, one page for all."""

    def __init__(self, editor: Editor) -> None:
        self.editor, self.page = editor, editor.page

    def frames(self, act: Callable[[], None]) -> float:
        """Return the median of the frames while something is done, in milliseconds."""
        self.page.evaluate(FRAMES)
        act()
        found: list[float] = self.page.evaluate("() => window.__frames()")
        return statistics.median(found)

    def event(self, type: str, act: Callable[[], None], ready: str = "", key: str = "") -> float:
        """Return how long it takes from an event until what comes of it is shown, in milliseconds."""
        self.page.evaluate(EVENT, [type, key, ready])
        act()
        found: float = self.page.evaluate("() => window.__took")
        return found

    def mount(self) -> float:
        """Go to another tab and back."""
        tabs = self.page.locator("[data-tab]")
        tabs.nth(1).click()
        self.page.wait_for_timeout(200)
        took = self.event("click", lambda: tabs.nth(0).click(position={"x": 12, "y": 12}), "[data-node]")
        self.page.wait_for_timeout(300)
        return took

    def pan(self) -> float:
        """Drag with the middle button."""
        return self.frames(lambda: self.moves("middle", (1300, 700), 900))

    def zoom(self) -> float:
        """Turn the wheel in and out."""

        def act() -> None:
            self.page.mouse.move(800, 450)
            for step in range(40):
                self.page.mouse.wheel(0, 120 if step % 20 < 10 else -120)
                self.page.wait_for_timeout(16)

        return self.frames(act)

    def drag(self) -> float:
        """Drag a node."""
        x, y = self.editor.place(self.page.locator(".node-header").nth(8))
        found = self.frames(lambda: self.moves("left", (x, y), 300))
        self.editor.press("Mod+Z")
        return found

    def far(self) -> float:
        """Move the view with all nodes in it."""
        self.editor.press("Home")
        self.page.wait_for_timeout(400)
        found = self.frames(lambda: self.moves("middle", (900, 500), 300))
        self.editor.press("Mod+0")
        self.page.wait_for_timeout(400)
        return found

    def undo(self) -> float:
        """Make all nodes a second time, and take that back."""
        self.editor.press("Mod+A", "Mod+D")
        self.page.wait_for_timeout(600)
        took = self.event("keydown", lambda: self.page.keyboard.press("Control+z"), key="z")
        self.page.wait_for_timeout(300)
        return took

    def palette(self) -> float:
        """Ask for the palette, on free ground."""
        self.page.mouse.move(800, 450)
        shown = '[data-chooser="palette"]'
        took = self.event("keydown", lambda: self.page.keyboard.press("Shift+A"), shown, key="a")
        self.editor.press("Escape")
        self.page.wait_for_timeout(100)
        return took

    def moves(self, button: Any, start: tuple[float, float], far: float) -> None:
        """Press, move there and back, and let go."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down(button=button)
        for step in range(60):
            part = step / 30 if step < 30 else 2 - step / 30
            mouse.move(start[0] - far * part, start[1] - far * part / 3)
        mouse.up(button=button)


def measure(page: Page, servers: Servers, count: int, repeats: int) -> Iterator[tuple[str, float]]:
    """Yield the median of each figure with its name."""
    editor = Editor(page, servers.start("--workers", "1", "--no-token"))
    editor.open(workflow(count))
    editor.press("Mod+Alt+T")
    editor.wait_until(lambda: len(editor.state()["tabs"]) == 2, "there are two tabs")
    page.locator("[data-tab]").first.click()
    page.wait_for_timeout(1000)
    editor.press("Mod+0")
    page.wait_for_timeout(500)
    measured = Measured(editor)
    parts = (measured.mount, measured.pan, measured.zoom, measured.drag, measured.far, measured.undo, measured.palette)
    for part in parts:
        yield part.__name__, statistics.median(part() for _ in range(repeats))


def main() -> int:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    limits = {"mount": MOUNT, "undo": UNDO, "palette": PALETTE}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        servers = Servers(Path(folder))
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
            over = False
            for name, took in measure(page, servers, options.nodes, options.repeats):
                limit = limits.get(name, FRAME)
                over |= took > limit
                sys.stdout.write(f"{name:8} {took:7.1f} ms  limit {limit:5.1f}{'  OVER' * (took > limit)}\n")
                sys.stdout.flush()
        finally:
            browser.close()
            servers.end()
    return int(over)


if __name__ == "__main__":
    sys.exit(main())

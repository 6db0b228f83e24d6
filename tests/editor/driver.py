"""The editor in a browser, as a test drives it: with pointer and keys, and `window.__editor.state()` to see."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.faults.harness import FINAL, Server

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Locator, Page, Request, Response

    Place = tuple[float, float] | Locator

Json = Any
SIZE = {"width": 1600, "height": 900}
_NAMES = count(1)


class Editor:
    """One page of the editor and the server behind it. Coordinates are those of the window, in pixels."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page, self.server = page, server
        self.problems: list[str] = []
        """What the page complained of: errors on its console, and requests that failed or were refused."""
        self._expected = [r"412: PUT \S*/drafts/"]  # saved as its page was left, and anew by the next
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("requestfailed", self._on_failed)
        page.on("response", self._on_response)

    # What it shows

    def state(self) -> dict[str, Any]:
        """Return the editor's state: document, selection, view, tabs, jobs."""
        found: dict[str, Any] = self.page.evaluate("() => window.__editor.state()")
        return found

    def document(self) -> dict[str, Any]:
        """Return the workflow of the open tab as its file would be."""
        found: dict[str, Any] = self.state()["document"]
        return found

    def nodes(self) -> dict[str, Any]:
        """Return the nodes of the open workflow by their ids."""
        found: dict[str, Any] = self.document().get("nodes", {})
        return found

    def node(self, id: str) -> Locator:
        """Return where a node is drawn."""
        return self.page.locator(f'[data-node="{id}"]:not([data-port])').first

    def port(self, id: str, port: str) -> Locator:
        """Return a port's dot; `port` is such as `in:image` or `out:out`."""
        return self.page.locator(f'[data-node="{id}"] [data-port="{port}"]').first

    def field(self, id: str, name: str) -> Locator:
        """Return where the value of an input is typed: the control itself where there is one."""
        place = self.page.locator(f'[data-node="{id}"] [data-field="{name}"]').first
        control = place.locator("input, textarea, select, button, [role=slider], [role=spinbutton]")
        return control.first if control.count() else place

    def panel(self, name: str) -> Locator:
        """Return a panel, such as `queue`."""
        return self.page.locator(f'[data-panel="{name}"]').first

    def notice(self, text: str) -> None:
        """Wait for a notice that says `text`."""
        self.page.get_by_role("region", name="Notices").get_by_text(text).first.wait_for(timeout=5000)

    def command(self, id: str) -> Locator:
        """Return a button, or an entry of a menu, that does the command."""
        return self.page.locator(f'[data-command="{id}"]:visible').first

    def wait_until(self, predicate: Callable[[], Any], what: str = "", seconds: float = 10.0) -> Any:
        """Return what `predicate` gives as soon as that is true; fail when the time is up."""
        begin = time.monotonic()
        while not (found := predicate()):
            waited = time.monotonic() - begin
            assert waited < seconds, f"{what or predicate}: not within {seconds:g} s"
            self.page.wait_for_timeout(15 if waited < 0.3 else 60)  # what takes long is slowed down by being asked
        self.drawn()
        return found

    def drawn(self) -> None:
        """Wait for the frame that shows what was done: views follow the document a frame later."""
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")

    def at_rest(self) -> None:
        """Wait until the view has been the same for six frames: it glides to where it is sent."""
        script = """() => new Promise((done) => {
          let [last, same] = ["", 0];
          const look = () => {
            const now = JSON.stringify(window.__editor.state().view);
            same = now === last ? same + 1 : 0;
            last = now;
            if (same > 5) done();
            else requestAnimationFrame(look);
          };
          look();
        })"""
        self.page.evaluate(script)

    # What is done

    def start(self, path: str = "/") -> None:
        """Go to a page of the server and wait until the editor is there."""
        self.page.goto(self.server.url + path)
        self.loaded()

    def loaded(self) -> None:
        """Wait until the editor is there, on a page that was gone to or loaded anew."""
        self.wait_until(lambda: self.page.evaluate("() => Boolean(window.__editor)"), "the editor is there")

    def open(self, workflow: Mapping[str, Json], name: str | None = None) -> str:
        """Save a workflow on the server and open it; return the name that it has there."""
        name = name or f"test {next(_NAMES)}"
        self.server.ask("PUT", f"/workflows/{quote(name)}", dict(workflow), If_None_Match="*")
        self.start(f"/?workflow={quote(name)}")
        wanted = set(workflow.get("nodes", {}))
        self.wait_until(lambda: set(self.nodes()) == wanted, f"{name} is open")
        return name

    def place(self, at: Place) -> tuple[float, float]:
        """Return a point, or the middle of what is there."""
        if isinstance(at, tuple):
            return at
        at.wait_for(state="attached", timeout=5000)
        box = at.bounding_box()
        assert box is not None, f"{at} is not to be seen"
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    @contextmanager
    def held(self, keys: Sequence[str]) -> Iterator[None]:
        """Hold these keys down; `Mod` is Control."""
        names = ["Control" if key == "Mod" else key for key in keys]
        for key in names:
            self.page.keyboard.down(key)
        try:
            yield
        finally:
            for key in reversed(names):
                self.page.keyboard.up(key)

    @contextmanager
    def dragging(self, start: Place, *to: Place, button: str = "left", keys: Sequence[str] = ()) -> Iterator[None]:
        """Drag from a place by way of others, and let go at the end of the block."""
        mouse = self.page.mouse
        mouse.move(*self.place(start))
        with self.held(keys):
            mouse.down(button=button)  # type: ignore[arg-type]
            try:
                for place in to:
                    mouse.move(*self.place(place), steps=6)
                yield
            finally:
                mouse.up(button=button)  # type: ignore[arg-type]
        self.drawn()

    def drag(self, start: Place, *to: Place, button: str = "left", keys: Sequence[str] = ()) -> None:
        """Drag from a place to another, by way of those between."""
        with self.dragging(start, *to, button=button, keys=keys):
            pass

    def click(self, at: Place, button: str = "left", count: int = 1, keys: Sequence[str] = ()) -> None:
        """Click at a place, as often as told."""
        x, y = self.place(at)
        with self.held(keys):
            self.page.mouse.click(x, y, button=button, click_count=count)  # type: ignore[arg-type]
        self.drawn()

    def press(self, *keys: str) -> None:
        """Press keys one after another, such as `Mod+Z`."""
        for key in keys:
            self.page.keyboard.press(re.sub(r"\bMod\b", "Control", key))
        self.drawn()

    # Jobs

    def jobs(self) -> list[dict[str, Any]]:
        """Return the server's jobs, the newest first."""
        found: list[dict[str, Any]] = self.server.ask("GET", "/jobs?limit=100")["items"]
        return found

    def run(self, how: Callable[[], object] | None = None, seconds: float = 60.0) -> dict[str, Any]:
        """Run the open workflow, by Mod+Enter unless told otherwise; return its job when that has ended."""
        before = {job["id"] for job in self.jobs()}
        (how or (lambda: self.press("Mod+Enter")))()

        def added() -> dict[str, Any] | None:
            return next((job for job in self.jobs() if job["id"] not in before), None)

        return self.ended(self.wait_until(added, "a job is queued")["id"], seconds)

    def ended(self, id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until a job has ended, or asks a person; return all about it."""

        def over() -> dict[str, Any] | None:
            job = self.server.job(id)
            return job if job["state"] in FINAL or job["state"] == "waiting" else None

        found: dict[str, Any] = self.wait_until(over, f"{id} has ended", seconds)
        return found

    # What may go wrong

    def expect(self, pattern: str) -> None:
        """Allow problems that match; what else the page complains of fails the test."""
        self._expected.append(pattern)

    def unexpected(self) -> list[str]:
        """Return what the page complained of and nobody expected."""
        return [text for text in self.problems if not any(re.search(pattern, text) for pattern in self._expected)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith("Failed to load resource"):  # told as a response
            self.problems.append(f"console: {message.text}")

    def _on_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the page itself, or since it was left
            self.problems.append(f"failed: {request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400:
            path = response.url.removeprefix(self.server.url)
            self.problems.append(f"{response.status}: {response.request.method} {path}")

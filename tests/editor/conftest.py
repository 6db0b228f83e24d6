"""Browser tests: a real server for all of them, with the bundled model and the tests' plugins, and Chromium before it.

The browser lives as long as a module, not longer: while playwright runs, no test of asyncio can. The server goes on, as
it takes seconds until its worker has run something: whoever counts jobs or files counts those that came in the test.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.editor.canvas_driver import WORKFLOW as DRAWN
from tests.editor.canvas_driver import Canvas
from tests.editor.driver import SIZE, Editor
from tests.editor.fields import WORKFLOW
from tests.editor.profiles import FLAGS, Profiles
from tests.editor.runs import leave_nothing
from tests.faults.harness import Server, Servers

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the browser's file."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu", *FLAGS])
        yield found
        found.close()


@pytest.fixture(scope="module")
def serve_options() -> tuple[str, ...]:
    """Return options for the module's server; a module may have its own."""
    return ("--workers", "1", "--disk", "64M")


@pytest.fixture(scope="session")
def server_with(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[tuple[str, ...]], Server]]:
    """Return what starts a server on a free port and a data folder of its own, one for all with the same options."""
    folder = tmp_path_factory.mktemp("editor")
    servers, started = Servers(folder), dict[tuple[str, ...], Server]()

    def start(options: tuple[str, ...]) -> Server:
        found = started.get(options)
        if found is None or found.process.poll() is not None:
            found = started[options] = servers.start(*options, data=folder / f"data{len(started)}")
        return found

    yield start
    servers.end()


@pytest.fixture(scope="module")
def server(server_with: Callable[[tuple[str, ...]], Server], chromium: str, serve_options: tuple[str, ...]) -> Server:
    """Return the module's server: a process with the options that it wants."""
    return server_with(serve_options)


@pytest.fixture(scope="module")
def cookies(browser: Browser, server: Server) -> list[Any]:
    """Return what a link into the server gives; each works once."""
    path = server.ask("POST", "/users/owner/link")["path"]
    with browser.new_context() as context:
        assert context.request.get(server.url + path).status == 200
        return context.cookies()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Return how the browser is set up; a module may have its own, such as a phone's."""
    return {"viewport": SIZE}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return what the user has set: nobody is offered the tour, as its offer lies over nodes for a while."""
    return {"tourSeen": True, **getattr(request, "param", {})}


@pytest.fixture(scope="module")
def profiles(browser: Browser, server: Server, cookies: list[Any]) -> Profiles:
    return Profiles(browser, server, cookies)


@pytest.fixture
def context(profiles: Profiles, context_options: dict[str, Any], settings: dict[str, Any]) -> Iterator[BrowserContext]:
    """Return a profile of the browser, as if it were new, that the owner is logged in with."""
    profile = profiles.begin(context_options, settings)
    yield profile.context
    profiles.end(profile)


@pytest.fixture
def editor(context: BrowserContext, server: Server) -> Iterator[Editor]:
    """Return the editor on a new page; what the page complains of fails the test."""
    found = Editor(context.new_page(), server)
    yield found
    assert found.unexpected() == []


@pytest.fixture
def fields(editor: Editor) -> Editor:
    """Return the editor with a workflow open that has fields of all kinds of the bundled nodes."""
    editor.open(WORKFLOW)
    editor.node("whole").wait_for()
    return editor


@pytest.fixture
def canvas(editor: Editor) -> Canvas:
    """Return the canvas with a workflow on it."""
    editor.open(DRAWN)
    editor.node("sample").wait_for()
    found = Canvas(editor)
    editor.click(found.free())
    return found


@pytest.fixture
def nothing_runs(server: Server) -> Iterator[None]:
    """Leave the module's server with an empty queue that goes on."""
    yield
    leave_nothing(server)

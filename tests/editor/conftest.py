"""Browser tests: one real server a module, with the bundled model and the tests' plugins, and Chromium before it.

The browser lives as long as a module, not longer: while playwright runs, no test of asyncio can.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.editor.driver import SIZE, Editor
from tests.editor.fields import WORKFLOW
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
        found = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def serve_options() -> tuple[str, ...]:
    """Return options for the module's server; a module may have its own."""
    return ("--workers", "1", "--disk", "64M")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, chromium: str, serve_options: tuple[str, ...]) -> Iterator[Server]:
    """Return the module's server: a process on a free port with a data folder of its own."""
    servers = Servers(tmp_path_factory.mktemp("editor"))
    yield servers.start(*serve_options)
    servers.end()


@pytest.fixture(scope="module")
def cookies(browser: Browser, server: Server) -> list[Any]:
    """Return what the link gives that the server shows at its start; it works once."""
    deadline = time.monotonic() + 10  # it answers before it has printed all
    while (link := re.search(r"http://\S+/login\?code=\S+\s", server.text())) is None:
        assert time.monotonic() < deadline, server.text()
        time.sleep(0.02)
    with browser.new_context() as context:
        assert context.request.get(link[0].strip()).status == 200
        return context.cookies()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Return how the browser is set up; a module may have its own, such as a phone's."""
    return {"viewport": SIZE}


@pytest.fixture
def context(browser: Browser, cookies: list[Any], context_options: dict[str, Any]) -> Iterator[BrowserContext]:
    """Return a fresh profile of the browser that the owner is logged in with."""
    with browser.new_context(**context_options) as found:
        found.add_cookies(cookies)
        yield found


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

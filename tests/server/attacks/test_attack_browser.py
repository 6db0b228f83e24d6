"""Rows 7, 9 to 12 and 32 of the attack list in a real browser: a page on another port, with the user's cookie there."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from nodegraph.server.keys import ACCOUNTS, STORE
from tests.server.attacks.crafted import picture
from tests.server.attacks.wire import API, Wire, node

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")]
REBOUND = "rebound.example"
"""A name that leads to this machine, as after DNS rebinding."""


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>evil</title><body>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def foreign() -> Iterator[str]:
    """Serve an empty page on another port of this machine: another origin of the same site."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1, MAP *.evil.example 127.0.0.1"]
        found = driver.chromium.launch(executable_path=CHROMIUM, args=options)
        yield found
        found.close()


@pytest.fixture(scope="module")
def logged_in(browser: Browser, shared: Any) -> Iterator[BrowserContext]:
    """Return a browser in which the owner has logged in, by a link as it is shown at the start; the editor is open."""
    context = browser.new_context()
    page = context.new_page()
    code = shared.run(lambda app: app[ACCOUNTS].link("owner"))
    page.goto(f"{shared.url}/login?code={code}")
    assert page.url == f"{shared.url}/"
    yield context
    context.close()


@pytest.fixture
def known(logged_in: BrowserContext) -> Iterator[BrowserContext]:
    """Return the browser with the editor and no other page."""
    editor, *others = logged_in.pages
    assert others == []
    assert editor.evaluate(f"fetch('{API}/me').then(answer => answer.status)") == 200
    yield logged_in
    for page in logged_in.pages[1:]:
        page.close()


@pytest.fixture
def evil(known: BrowserContext) -> Iterator[Page]:
    """Return a page of another origin in that browser."""
    with foreign() as url:
        page = known.new_page()
        page.goto(url)
        yield page
        page.close()


WORKFLOW = {"workflow": {"format": 1, "nodes": {"a": node("faults.Save", text="from elsewhere")}}}
POSTS = {
    "row10 simple text": {"method": "POST", "mode": "no-cors", "headers": {"Content-Type": "text/plain"}},
    "row9 JSON": {"method": "POST", "headers": {"Content-Type": "application/json"}},
    "row9 JSON with cookies": {"method": "POST", "credentials": "include", "headers": {"Content-Type": "text/json"}},
    "row10 simple text with cookies": {"method": "POST", "mode": "no-cors", "credentials": "include"},
}  # fmt: skip


def jobs(shared: Any) -> int:
    async def count(app: Any) -> int:
        return len((await app[STORE].jobs("owner", limit=1000)).items)

    found: int = shared.run(count)
    return found


def fetched(page: Page, url: str, options: dict[str, Any]) -> str:
    """Fetch from a page; return what it may read of the answer."""
    script = (
        "([url, options]) => fetch(url, options).then(a => a.text().then(t => a.type + a.status + t)).catch(String)"
    )
    return str(page.evaluate(script, [url, options]))


@pytest.mark.parametrize("options", POSTS.values(), ids=list(POSTS))
def test_a_foreign_page_submits_nothing(evil: Page, shared: Any, options: dict[str, Any]) -> None:
    before = jobs(shared)
    for path in ("/jobs", "/queue/pause", "/queue/clear", "/logout", "/jobs/prune"):
        told = fetched(evil, f"{shared.url}{API}{path}", {**options, "body": json.dumps(WORKFLOW)})
        assert "TypeError" in told or told == "opaque0", told
    assert jobs(shared) == before
    assert Wire(shared.port, shared.token).get(f"{API}/queue").json().get("paused") in (False, None, [])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_rows9_and_10_a_foreign_form_submits_nothing(evil: Page, shared: Any, kind: str) -> None:
    before = jobs(shared)
    script = """([url, kind, name]) => {
        const form = document.createElement('form');
        form.action = url; form.method = 'POST'; form.enctype = kind;
        const field = document.createElement('input');
        field.name = name; field.value = '"}'; form.append(field); document.body.append(form); form.submit();
    }"""
    with evil.expect_navigation() as navigation:
        evil.evaluate(script, [f"{shared.url}{API}/jobs", kind, json.dumps(WORKFLOW)[:-1] + ', "name": "'])
    assert navigation.value is not None
    assert navigation.value.status == 403
    assert jobs(shared) == before


def test_row9_a_foreign_page_reads_nothing(evil: Page, shared: Any) -> None:
    for path in ("/api/v1/me", "/api/v1/jobs", "/openapi.json", "/", "/api/v1/files/example.png", "/healthz"):
        for options in ({}, {"credentials": "include"}, {"mode": "no-cors", "credentials": "include"}):
            told = fetched(evil, shared.url + path, options)
            assert "TypeError" in told or told == "opaque0", (path, told)


EMBEDDED = """([tag, url]) => new Promise(resolve => {
    const element = document.createElement(tag);
    element.onload = () => resolve('loaded'); element.onerror = () => resolve('refused');
    element[tag === 'link' ? 'href' : 'src'] = url;
    if (tag === 'link') element.rel = 'stylesheet';
    document.body.append(element); setTimeout(() => resolve('nothing'), 3000);
})"""


@pytest.mark.parametrize("tag", ["img", "script", "link"])
def test_row9_a_foreign_page_embeds_nothing(evil: Page, shared: Any, tag: str) -> None:
    for path in ("/api/v1/files/example.png", "/api/v1/jobs", "/style/base.css"):
        assert evil.evaluate(EMBEDDED, [tag, shared.url + path]) == "refused"


def test_row9_a_foreign_page_frames_nothing(evil: Page, shared: Any) -> None:
    """A frame that was refused shows the browser's own error page, into which nobody sees."""
    for path in ("/", "/api/v1/me"):
        evil.evaluate("url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f) }",
                      shared.url + path)  # fmt: skip
    evil.wait_for_timeout(500)
    assert [frame.url for frame in evil.frames[1:] if shared.url in frame.url and "nodegraph" in frame.content()] == []


STREAMED = """url => new Promise(resolve => {
    const stream = url.startsWith('ws') ? new WebSocket(url) : new EventSource(url, {withCredentials: true});
    stream.onopen = () => resolve('open'); stream.onmessage = () => resolve('message');
    stream.onerror = () => resolve('refused');
})"""


def test_row12_a_foreign_page_opens_no_stream(evil: Page, shared: Any) -> None:
    for scheme in ("ws", "http"):
        assert evil.evaluate(STREAMED, f"{scheme}://127.0.0.1:{shared.port}{API}/events") == "refused"


def test_row12_the_servers_own_page_opens_a_stream(known: BrowserContext, shared: Any) -> None:
    page = known.new_page()
    page.goto(shared.url)
    assert page.evaluate(STREAMED, f"ws://127.0.0.1:{shared.port}{API}/events") in ("open", "message")
    assert fetched(page, f"{API}/me", {}).startswith("basic200")


def test_row11_a_name_that_was_made_to_lead_here_leads_nowhere(known: BrowserContext, shared: Any) -> None:
    page = known.new_page()
    for path in ("/", "/api/v1/me", "/healthz"):
        response = page.goto(f"http://{REBOUND}:{shared.port}{path}")
        assert response is not None
        assert response.status == 403
        assert "/main.js" not in page.content()


INJECTED = """() => {
    const script = document.createElement('script'); script.text = 'window.ran = 1'; document.body.append(script);
    const part = document.createElement('div'); part.innerHTML = '<img src=x onerror="window.ran = 1">';
    document.body.append(part);
    return new Promise(resolve => setTimeout(() => resolve(window.ran ?? 'not run'), 500));
}"""
PAGE = b"<!doctype html><script>document.title = 'ran'; window.ran = 1</script>"


def test_rows7_and_32_nothing_that_users_send_runs_in_the_servers_name(known: BrowserContext, shared: Any) -> None:
    wire = Wire(shared.port, shared.token)
    page = known.new_page()
    (shared.data / "input").mkdir(exist_ok=True)
    sent = {"page.png": PAGE, "both.gif": b"GIF89a/*" + PAGE + b"*/=1", "fine.png": picture(), "page.txt": PAGE}
    for name, data in sent.items():
        (shared.data / "input" / name).write_bytes(data)
        url = f"{shared.url}{API}/files/{name}"
        if name.endswith(".txt"):
            with page.expect_download():
                page.evaluate("url => { location.href = url }", url)
        else:
            page.goto(url)
            assert page.evaluate("() => window.ran") is None
            assert page.evaluate("() => self.origin") == "null"  # a sandbox: no cookie, no storage, no requests of ours
        page.goto(shared.url)
        for tag in ("script", "link"):
            assert page.evaluate(EMBEDDED, [tag, url]) == "refused"
    page.goto(f"{shared.url}/login?code=%3Cscript%3Ewindow.ran=1%3C/script%3E")
    assert page.evaluate("() => window.ran") is None
    page.goto(shared.url)
    added = page.evaluate(INJECTED)
    assert added == "not run"  # even where markup got into a page of ours, its policy keeps it from running
    wire.alive()

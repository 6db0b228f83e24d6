"""What happens to work while things go wrong: pages closed at once, servers that go, logins that end, full disks."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.editor.documents import (
    PICTURE,
    choose,
    dialog,
    is_saved,
    prefix,
    replaced,
    retitle,
    saved,
    second,
    tab,
    with_prefix,
)
from tests.editor.driver import Editor
from tests.faults.harness import Server, Servers

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Dialog, Route

Json = Any
FILL = """() => {
  for (let size = 2 ** 22; size >= 1; size /= 2) {
    for (let at = 0; at < 8; at += 1) {
      try { localStorage.setItem(`fill ${size} ${at}`, "x".repeat(size)); } catch { break; }
    }
  }
}"""


def refuse(route: Route, status: int, words: str) -> None:
    route.fulfill(status=status, json={"error": {"code": "no", "message": words}})


def test_a_page_that_is_closed_right_after_a_change_loses_nothing(
    editor: Editor, server: Server, context: BrowserContext
) -> None:
    name = editor.open(PICTURE)
    retitle(editor, "typed last")
    with editor.page.expect_event("close"):
        editor.page.close(run_before_unload=True)
    again = second(editor, context)
    again.expect(r"^412: PUT")  # where what was sent at the last moment arrived after all
    again.start()
    assert prefix(again.document()) == "typed last"
    again.wait_until(lambda: prefix(saved(server, name)) == "typed last", "it is saved")
    again.wait_until(lambda: not tab(again)["dirty"])
    assert again.page.evaluate("() => Object.keys(localStorage).filter((key) => key.includes('unsaved'))") == []
    assert again.unexpected() == []


def test_what_the_server_has_no_room_for_is_told_and_kept(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    editor.expect(r"^(413|507): PUT")
    banner = editor.page.locator('[data-banner="unsaved"]')
    for status, words in ((507, "the disk is full"), (413, "at most 8 bytes are taken")):
        editor.page.route("**/workflows/**", partial(refuse, status=status, words=words))
        retitle(editor, words)
        banner.get_by_text(words).wait_for(timeout=5000)
        assert "this browser keeps it" in banner.inner_text()
        editor.page.unroute("**/workflows/**")
        banner.locator('[data-action="retry"]').click()
        editor.wait_until(partial(is_saved, server, name, words), "it is saved after all")
        banner.wait_for(state="detached")


def test_a_browser_that_has_no_room_either_says_so_and_asks_before_it_closes(editor: Editor, server: Server) -> None:
    name = editor.open(PICTURE)
    editor.expect(r"^507: PUT")
    editor.page.route("**/workflows/**", partial(refuse, status=507, words="the disk is full"))
    editor.page.evaluate(FILL)
    retitle(editor, "nowhere")
    banner = editor.page.locator('[data-banner="unsaved"]')
    banner.get_by_text("no room").wait_for(timeout=5000)
    asked: list[str] = []

    def stay(question: Dialog) -> None:
        asked.append(question.type)
        question.dismiss()

    editor.page.on("dialog", stay)
    editor.page.close(run_before_unload=True)
    editor.wait_until(lambda: asked == ["beforeunload"], "it is asked whether to leave")
    editor.page.evaluate("() => localStorage.clear()")
    editor.page.unroute("**/workflows/**")
    # It may have tried again by itself meanwhile, and then there is no button any more.
    banner.locator('[data-action="retry"]').evaluate_all("(buttons) => buttons.forEach((button) => button.click())")
    editor.wait_until(lambda: prefix(saved(server, name)) == "nowhere", "it is saved after all", 40)


def test_a_workflow_that_is_saved_elsewhere_again_and_again_is_never_overwritten_unseen(
    editor: Editor, server: Server, context: BrowserContext
) -> None:
    name = editor.open(PICTURE)
    editor.expect(r"412|ERR_FAILED|net::")
    context.route("**/api/v1/workflows/**", lambda route: route.abort())
    retitle(editor, "mine")
    replaced(server, name, with_prefix("theirs"))
    context.unroute("**/api/v1/workflows/**")
    difference = editor.page.locator('[data-banner="conflict"] [data-action="difference"]')
    for last in ("theirs", "theirs again"):
        difference.click(timeout=10000)
        assert dialog(editor, "diff").locator('[data-when="before"]').first.inner_text() == last
        if last == "theirs":
            replaced(server, name, with_prefix("theirs again"))
        choose(editor, "file.saveMine")
        if last == "theirs":
            editor.notice("saved elsewhere once more")
            assert prefix(saved(server, name)) == "theirs again"
    editor.wait_until(lambda: prefix(saved(server, name)) == "mine", "it is saved, once it was seen what it replaces")
    editor.wait_until(lambda: not tab(editor)["dirty"])


def test_who_is_logged_out_in_another_tab_is_told_and_loses_nothing(browser: Browser, server: Server) -> None:
    name = f"logged out {time.time()}"
    server.ask("PUT", f"/workflows/{quote(name)}", PICTURE, If_None_Match="*")
    with browser.new_context() as context:
        editor = Editor(context.new_page(), server)
        editor.start(server.ask("POST", "/users/owner/link")["path"])
        editor.start(f"/?workflow={quote(name)}")
        origin = {"Origin": server.url}
        assert context.request.post(f"{server.url}/api/v1/logout", headers=origin).status in (200, 204)
        retitle(editor, "after logging out")
        banner = editor.page.locator(".banner:visible")
        banner.first.wait_for(timeout=10000)
        told = banner.first.inner_text()
        assert "know you" in told or "not saved" in told
        assert prefix(editor.document()) == "after logging out"
        path = server.ask("POST", "/users/owner/link")["path"]
        assert context.request.get(f"{server.url}{path}").status == 200
        editor.page.evaluate("() => dispatchEvent(new Event('online'))")
        editor.wait_until(lambda: prefix(saved(server, name)) == "after logging out", "it is saved after all")
        editor.wait_until(lambda: editor.page.locator(".banner:visible").count() == 0, "nothing is wrong any more", 15)


def test_a_server_that_is_killed_while_somebody_types_is_given_everything_when_it_is_back(
    browser: Browser, tmp_path: Path, serve_options: tuple[str, ...]
) -> None:
    servers = Servers(tmp_path)
    try:
        first = servers.start(*serve_options)
        first.ask("PUT", "/workflows/typed", PICTURE, If_None_Match="*")
        with browser.new_context() as context:
            editor = Editor(context.new_page(), first)
            editor.start(first.ask("POST", "/users/owner/link")["path"])
            editor.start("/?workflow=typed")
            retitle(editor, "before")
            editor.wait_until(lambda: prefix(saved(first, "typed")) == "before", "it is saved")
            retitle(editor, "as it fell")
            first.kill()
            retitle(editor, "while it is down")
            editor.page.locator(".banner:visible").first.wait_for(timeout=10000)
            retitle(editor, "still down")
            port = re.search(r":(\d+)$", first.url)
            assert port is not None
            again = servers.start(*serve_options, "--port", port[1])
            editor.wait_until(lambda: prefix(saved(again, "typed")) == "still down", "all is saved", 30)
            editor.wait_until(lambda: not tab(editor)["dirty"])
            editor.wait_until(lambda: editor.page.locator(".banner:visible").count() == 0, "nothing is wrong", 15)
            assert [tab["name"] for tab in editor.state()["tabs"]].count("typed") == 1
    finally:
        servers.end()

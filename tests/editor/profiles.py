"""Profiles of the browser that tests have one after another, each as if it were new, with the editor's modules read.

The editor comes as two hundred modules. Fetching them takes the browser longer than all else that it does to show a
page, so a profile is used by all tests of a module. What a renderer has read it keeps while no page of it is closed,
and uses again without asking where the answer allows that. Hence:

- all pages of a profile are of one process (`FLAGS`);
- one page stays, which has read all modules; the answers to it are changed to allow that they are kept;
- pages that a test has done with are emptied, not closed.

Where a test closes a page, or changes what the server answers, the next page reads the modules by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.faults.harness import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Json = Any
FLAGS = ("--process-per-site",)
WEB = Path(__file__).resolve().parents[2] / "web"
MANY = 100
"""More requests than a page makes whose modules were there."""
WORTH = 2
"""Pages that must have found the modules for it to be worth the while to read them once more."""

SETTINGS = """(() => {
  if (location.origin === "null" || localStorage.getItem("nodegraph.settings") !== null) return;
  const found = document.cookie.match(/(?:^|; )settings_of_the_test=([^;]*)/);
  if (found) localStorage.setItem("nodegraph.settings", decodeURIComponent(found[1]));
})()"""
"""What a page begins with: the user's settings, which a test may forget and find again as it loads the page anew."""
READ = """(names) => Promise.all(names.map((name) => {
  if (name.endsWith(".js")) return import(name);
  return new Promise((done, failed) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: name, onload: done });
    link.onerror = () => failed(new Error(name));
    document.head.append(link);
  });
})).then((found) => found.length)"""
FETCHED = "() => performance.getEntriesByType('resource').filter((entry) => entry.transferSize > 0).length"


class Profile:
    """A profile that the owner is logged in with."""

    def __init__(self, browser: Browser, server: Server, cookies: Sequence[Any], options: Mapping[str, Any]) -> None:
        self._server, self._cookies = server, list(cookies)
        self.context = browser.new_context(**options)
        self.context.add_init_script(SETTINGS)
        self._keeper = self.context.new_page()
        self._cold, self._found = True, WORTH

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make it as a new one whose user has these settings."""
        if self._cold and self._found >= WORTH:
            self._read()
        chosen: Json = {"name": "settings_of_the_test", "value": quote(json.dumps(settings)), "url": self._server.url}
        self.context.clear_cookies()
        self.context.add_cookies([*self._cookies, chosen])
        self._keeper.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")

    def end(self) -> None:
        """Leave the test's pages, and take back what it has set; what is stored goes as the next one begins."""
        self.context.set_offline(True)  # a page saves drafts as it is left: they would come amid the next test
        for page in self.context.pages:
            if page is not self._keeper:
                self._leave(page)
        self.context.unroute_all(behavior="ignoreErrors")
        self.context.set_offline(False)
        self.context.clear_permissions()

    def close(self) -> None:
        self.context.close()

    def _leave(self, page: Page) -> None:
        page.unroute_all(behavior="ignoreErrors")
        self._cold |= page.evaluate(FETCHED) > MANY
        self._found += not self._cold
        page.goto("about:blank")

    def _read(self) -> None:
        """Read all modules but that which starts the editor, with answers that may be kept."""
        session = self.context.new_cdp_session(self._keeper)

        def keep(event: dict[str, Any]) -> None:
            headers = [one for one in event["responseHeaders"] if one["name"].lower() != "cache-control"]
            headers.append({"name": "Cache-Control", "value": "max-age=3600"})
            answer = {"responseCode": event["responseStatusCode"], "responseHeaders": headers}
            session.send("Fetch.continueResponse", {"requestId": event["requestId"], **answer})

        session.on("Fetch.requestPaused", keep)
        kinds = [{"urlPattern": f"{self._server.url}/*.{end}", "requestStage": "Response"} for end in ("js", "css")]
        session.send("Fetch.enable", {"patterns": kinds})
        self._keeper.goto(f"{self._server.url}/login")  # without a code: a page of this origin with no scripts
        paths = [path for end in ("js", "css") for path in sorted(WEB.rglob(f"*.{end}")) if path != WEB / "main.js"]
        names = [f"/{path.relative_to(WEB).as_posix()}" for path in paths]
        assert self._keeper.evaluate(READ, names) == len(names)
        session.detach()
        self._cold, self._found = False, 0


class Profiles:
    """The profiles of a browser by how they are set up."""

    def __init__(self, browser: Browser, server: Server, cookies: Sequence[Any]) -> None:
        self._browser, self._server, self._cookies = browser, server, cookies
        self._all: dict[str, Profile] = {}

    def begin(self, options: Mapping[str, Any], settings: Mapping[str, Any]) -> Profile:
        """Return a profile like a new one."""
        key = json.dumps(options, sort_keys=True)
        if key not in self._all:
            self._all[key] = Profile(self._browser, self._server, self._cookies, options)
        self._all[key].begin(settings)
        return self._all[key]

    def end(self, profile: Profile) -> None:
        """Take a profile back; one that a test has broken is not used again."""
        from playwright.sync_api import Error

        try:
            profile.end()
        except Error:
            self._all = {key: one for key, one in self._all.items() if one is not profile}
            profile.close()

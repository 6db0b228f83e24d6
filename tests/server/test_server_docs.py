"""The pages on the server are true: whoever follows them on a real server sees what they show, and nothing is left out.

A fence's second word says what is done with it, in the page's order and in one folder: `sh server` runs in a shell
whose variables stay, `python server` as a program; `python background` goes on meanwhile. `json answer`,
`text answer` and `text background` show what was written, the last one by the program in the background.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nodegraph.cli.arguments import build_parser
from nodegraph.server import hub, streams, workflows
from nodegraph.server.api import asking, batches, submitting
from nodegraph.server.api.event_models import JOB_EVENTS
from nodegraph.server.api.routing import API, ROUTES
from nodegraph.server.api.users import STATUSES
from nodegraph.server.api.wire import LONGEST_RUN
from nodegraph.server.app import build
from nodegraph.server.files import thumbnails
from nodegraph.server.records import FINAL, State
from nodegraph.server.security import connections
from nodegraph.server.security.answers import CODES, FORESEEN
from nodegraph.server.serve import LAST_RESORT
from nodegraph.server.settings import Limits, Settings
from tests.server.conftest import in_a_thread, settings_of
from tests.test_docs import ROOT, Block, blocks

DOCS = ROOT / "nodegraph" / "docs"
SECONDS = 60
SERVER, RECEIVER = "8188", "9000"
"""Ports that the pages name: the server's, and that of the program which takes its webhooks."""
VARYING = re.compile(r"\b[0-9a-f]{8,}\b|(?<=_)\d{5}(?=_)|\b127\.0\.0\.1:\d+")
NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass
class Follower:
    """Somebody who does what a page says, one example after the other."""

    folder: Path
    ports: dict[str, int]
    """Those that the pages name -> those of the test."""
    environment: dict[str, str]
    said: str = ""
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Run an example, or compare what it shows with what the one before it wrote."""
        text = block.text
        for shown, real in self.ports.items():
            text = re.sub(rf"\b{shown}\b", str(real), text)
        match block.kind:
            case "sh server":
                self.said = self._shell(text, block.name)
            case "python server":
                self.said = self._run([sys.executable, "-c", text], block.name)
            case "python background":
                self.background.append(self._start([sys.executable, "-c", text]))
            case "json answer":
                assert misfits(json.loads(text), json.loads(self.said)) == [], f"{block.name}: {self.said}"
            case "text answer":
                assert lines_fit(text, self.said), f"{block.name}: {self.said}"
            case "text background":
                said, errors = self.background.pop(0).communicate(timeout=SECONDS)
                assert lines_fit(text, said), f"{block.name}: {said}{errors}"

    def _shell(self, script: str, name: str) -> str:
        state = self.folder / ".environment"
        said = self._run(["bash", "-c", f"set -ae\n{script}\nenv -0 > {state}"], name)
        pairs = state.read_text().split("\0")
        self.environment |= dict(pair.split("=", 1) for pair in pairs if "=" in pair)
        return said

    def _run(self, command: list[str], name: str) -> str:
        process = self._start(command)
        try:
            said, errors = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        assert process.returncode == 0, f"{name}: {said}{errors}"
        return said

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True)


def misfits(shown: Any, got: Any, place: str = "answer") -> list[str]:
    """Return where an answer has another shape than is shown: other keys or types, other words.

    Numbers only have to be numbers. The key or item `...` stands for more of which nothing is said.
    """
    if isinstance(shown, dict) and isinstance(got, dict):
        wrong = set(shown) - {"..."} - set(got) | (set() if "..." in shown else set(got) - set(shown))
        found = [f"{place}.{key}" for key in sorted(wrong)]
        return found + [at for key in set(shown) & set(got) for at in misfits(shown[key], got[key], f"{place}.{key}")]
    if isinstance(shown, list) and isinstance(got, list):
        more = shown[-1:] == ["..."]
        listed = shown[:-1] if more else shown
        if len(got) < len(listed) or (len(got) > len(listed) and not more):
            return [f"{place}: {len(got)} items"]
        return [at for index, item in enumerate(listed) for at in misfits(item, got[index], f"{place}.{index}")]
    if isinstance(shown, str) and isinstance(got, str):
        return [] if VARYING.sub("#", shown) == VARYING.sub("#", got) else [f"{place}: {got!r}"]
    number = (int, float)
    if isinstance(shown, number) and isinstance(got, number) and bool not in (type(shown), type(got)):
        return []
    return [] if type(shown) is type(got) and shown == got else [f"{place}: {got!r}"]


def lines_fit(shown: str, got: str) -> bool:
    """Tell whether the lines are those that are shown, numbers and ids aside; a line `...` stands for any."""

    def plain(text: str) -> list[str]:
        return [NUMBER.sub("0", VARYING.sub("#", " ".join(line.split()))) for line in text.strip().splitlines()]

    pattern = "\n".join(r"[^\x00]*" if line == "..." else re.escape(line) for line in plain(shown))
    return re.fullmatch(pattern, "\n".join(plain(got))) is not None


@pytest.fixture(scope="module")
def follower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Follower]:
    """Return somebody with an empty home and a server that runs there."""
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        receiver = probe.getsockname()[1]
    environment = {
        name: value for name, value in os.environ.items() if name not in ("XDG_DATA_HOME", "NODEGRAPH_TOKEN")
    }
    environment |= {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    settings = settings_of(home / ".local" / "share" / "nodegraph", webhooks=(f"127.0.0.1:{receiver}",))
    for server in in_a_thread(settings):
        someone = Follower(home, {SERVER: server.port, RECEIVER: receiver}, environment)
        yield someone
        for process in someone.background:
            process.kill()
            process.communicate()


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl", "jq"))), reason="the pages use curl and jq")
@pytest.mark.parametrize("page", ["server.md", "api.md"])
def test_whoever_follows_the_page_sees_what_it_shows(page: str, follower: Follower) -> None:
    for block in blocks(DOCS / page):
        follower.follow(block)


def section(page: str, heading: str) -> str:
    """Return what stands below a heading of a page, up to the next one."""
    text = (DOCS / page).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    return text.partition("\n## ")[0]


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the tables below a heading, without the tables' heads and without code marks."""
    lines = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    table = [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]
    heads = [place for place, row in enumerate(table) if set(row[0]) == {"-"}]
    assert heads, f"{page}: no table below {heading!r}"
    return [row for place, row in enumerate(table) if place not in heads and place + 1 not in heads]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> web.Application:
    """Return the application as it is before it starts."""
    return build(Settings(data=tmp_path_factory.mktemp("none")))


def test_the_table_of_routes_has_all_with_their_summaries(app: web.Application) -> None:
    shown = {(method, path, what) for methods, path, what in rows("api.md", "Routes") for method in methods.split()}
    there = {
        (route.method, re.sub(r":[^{}]+\}", "}", route.path), re.sub("`", "", route.summary) + admins)
        for route in app[ROUTES]
        for admins in ([" (admins)"] if route.admin else [""])
    }
    assert shown == there


def test_addresses_beside_the_api_are_told(app: web.Application) -> None:
    paths = {resource.canonical for resource in app.router.resources() if not resource.canonical.startswith(API)}
    text = section("api.md", "Routes")
    assert [path for path in paths - {"/", "/{name}"} if f"`{path}`" not in text] == []


def test_the_table_of_events_has_all_types() -> None:
    schema = JOB_EVENTS.json_schema()
    types = {
        name
        for event in schema["$defs"].values()
        for name in [
            *(event["properties"].get("type") or {}).get("enum", ()),
            event["properties"].get("type", {}).get("const"),
        ]
        if name and "seq" in event["properties"] and "." in name
    }
    assert {row[0] for row in rows("api.md", "Events")} == types
    assert "job.done" in types


def test_the_table_of_states_has_all_of_them_and_leads_from_one_to_another() -> None:
    states = {state.value for state in State}
    shown = {row[0]: set(re.findall(r"[a-z]+", row[2])) & states for row in rows("api.md", "States") if len(row) == 3}
    assert set(shown) == states
    assert {state for state, following in shown.items() if not following} == {state.value for state in FINAL}


def test_the_table_of_failures_has_all_codes() -> None:
    known = {"node_failed", "out_of_memory", "disk_full"}
    for path in sorted((ROOT / "nodegraph" / "server").rglob("*.py")):
        known |= set(re.findall(r'(?:Failure\(\s*code=|PublishError\()"(\w+)"', path.read_text(encoding="utf-8")))
    assert {row[0] for row in rows("api.md", "States") if len(row) == 2} == known


def test_the_table_of_errors_has_all_codes_by_status() -> None:
    raised = {(code, status) for _, status, code in FORESEEN} | {(code, status) for status, code in CODES.items()}
    raised |= {(f"user_{code}", status) for code, status in STATUSES.items()}
    reader = (ROOT / "nodegraph" / "engine" / "jsontext.py").read_text(encoding="utf-8")
    raised |= {(code, 413 if code == "file_too_large" else 400) for code in re.findall(r'_refuse\("(\w+)"', reader)}
    for path in sorted((ROOT / "nodegraph" / "server").rglob("*.py")):
        found = re.findall(r'ApiError\(\s*(\d+),\s*"(\w+)"', path.read_text(encoding="utf-8"))
        raised |= {(code, int(status)) for status, code in found}
    shown = {(code, int(status)) for status, codes in rows("api.md", "Errors") for code in re.findall(r"\w+", codes)}
    assert raised - shown == set()
    assert ("no_token", 401) in raised


def test_the_tables_of_limits_have_all_with_their_values() -> None:
    shown = rows("api.md", "Limits")
    limits = {name: str(int(value)) for name, value in asdict(Limits()).items()}
    assert {row[0]: row[1] for row in shown if len(row) == 3} == limits
    fixed = (
        *(300, 500, 1000, submitting.LONGEST_NAME, int(LONGEST_RUN), submitting.MOST_PROBLEMS, asking.MOST_OUTPUTS),
        *(batches.LONGEST_FILE, workflows.KEPT, thumbnails.LARGEST, connections.LONGEST_HEADER, hub.RING_LENGTH),
        *(streams.LONGEST_MESSAGE, streams.MESSAGES_A_SECOND, 100),
    )
    assert [row[1] for row in shown if len(row) == 2] == [str(value) for value in fixed]


@pytest.mark.parametrize("command", ["serve", "users", "doctor", "submit", "jobs"])
def test_all_options_of_a_command_are_told(command: str) -> None:
    text = section("cli.md", command)
    missing = [name for name in options_of(subcommands(build_parser())[command]) if f"{name}" not in text]
    assert missing == []


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: choice for choices in found for name, choice in choices.items()}


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """Return the long options of a command and of its actions, and the names of these."""
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    own = {name for action in shown for name in action.option_strings if name.startswith("--")} - {"--help"}
    actions = subcommands(parser)
    return own | set(actions) | {name for action in actions.values() for name in options_of(action)}


def test_the_unit_starts_a_server_and_gives_it_time_to_stop() -> None:
    (unit,) = [block for block in blocks(DOCS / "server.md") if block.kind == "ini unit"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their capitals
    parser.read_string(unit.text)
    service = parser["Service"]
    program, *arguments = shlex.split(service["ExecStart"])
    options = build_parser().parse_args(arguments)
    assert (Path(program).name, options.log, str(options.data)) == ("nodegraph", "json", service["ReadWritePaths"])
    assert float(service["TimeoutStopSec"]) > Settings(data=Path()).grace + LAST_RESORT


def test_the_proxies_lead_to_the_server_and_let_through_what_it_takes() -> None:
    proxies = {block.kind.split()[0]: block.text for block in blocks(DOCS / "server.md") if "proxy" in block.kind}
    assert set(proxies) == {"nginx", "caddy"}
    assert all(f"127.0.0.1:{Settings(data=Path()).port}" in text for text in proxies.values())
    nginx = dict(re.findall(r"(\w+) (\d+)[ms];", proxies["nginx"]))
    assert int(nginx["client_max_body_size"]) * 2**20 > Limits().upload
    assert int(nginx["proxy_read_timeout"]) > 300

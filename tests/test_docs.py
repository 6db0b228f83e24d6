"""The documentation is true: its examples run, its links lead somewhere, each hook has its section and its test.

A fence's second word says what is done with it: `python plugin` is a whole plugin module, loaded as one; `python run`
runs after the page's earlier blocks, and its tests are called; `json check` is a workflow that is checked; `toml run`
is read. The kinds of the pages on the server are for `tests/server/test_server_docs.py`.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from nodegraph.cli.arguments import build_parser
from nodegraph.diffusion.registry import DiffusionHooks
from nodegraph.engine import hooks
from nodegraph.engine.check import check
from nodegraph.engine.plugins import Plugins, load_plugins
from nodegraph.engine.workflow import load_workflow
from nodegraph.workers import hooks as worker_hooks

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "nodegraph" / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+) (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"""(?:\]\(|src=")([^)"\s]+)""")
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page that is marked to be run."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}:{self.line}"

    def module(self, names: dict[str, Any]) -> ModuleType:
        """Run the block as a module that starts with `names`, and return it; errors tell the page's line."""
        module = ModuleType(f"docs_{self.page.stem}_{self.line}")
        module.__dict__.update(names)
        sys.modules[module.__name__] = module  # annotations are looked up there
        exec(compile("\n" * self.line + self.text, str(self.page), "exec"), module.__dict__)
        return module


def blocks(page: Path) -> Iterator[Block]:
    """Yield the marked blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, f"{match[1]} {match[2]}", match[3])


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the commands of a page's console examples, as words; of a pipe, the first."""
    for example in CONSOLE.findall(page.read_text(encoding="utf-8")):
        for line in example.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                words = shlex.split(line.removeprefix("$ "), comments=True)
                yield list(takewhile(lambda word: word not in {"|", "<", ">", "&&"}, words))


def anchors(page: Path) -> set[str]:
    """Return the names by which links reach the page's headings."""
    headings = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def specified_hooks() -> set[str]:
    """Return the names of all hooks of all layers."""
    owners = (hooks, DiffusionHooks, worker_hooks)
    return {name for owner in owners for name, value in vars(owner).items() if hasattr(value, "nodegraph_spec")}


def load(*modules: ModuleType) -> Plugins:
    """Load the built-in nodes and the given modules; a module that is no good plugin is an error."""
    return load_plugins(builtin=["nodegraph.nodes", *modules], specs=[DiffusionHooks, worker_hooks], entry_points=False)


CODE = {"python plugin", "python run"}
ON_THE_SERVER = {
    *("sh server", "python server", "python background", "json answer", "text answer", "text background"),
    *("ini unit", "nginx proxy", "caddy proxy"),
}
PAGES_WITH_CODE = [page for page in PAGES if any(block.kind in CODE for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: page.name)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(page):
        if block.kind == "python plugin":
            module = block.module({})
            load(module)
        elif block.kind == "python run":
            module = block.module(names)
            for name, value in vars(module).items():
                if name.startswith("test_") and isinstance(value, FunctionType):
                    value()
        else:
            continue
        names |= {name: value for name, value in vars(module).items() if not name.startswith("__")}


def test_the_workflows_of_the_docs_pass_the_check() -> None:
    plugins = [block.module({}) for page in PAGES for block in blocks(page) if block.kind == "python plugin"]
    registry = load(*plugins).registry
    workflows = [block for page in PAGES for block in blocks(page) if block.kind == "json check"]
    assert workflows
    for block in workflows:
        graph = check(load_workflow(json.loads(block.text)), registry)
        assert graph.nodes, block.name


def test_the_settings_of_the_docs_can_be_read() -> None:
    settings = [block for page in PAGES for block in blocks(page) if block.kind == "toml run"]
    assert settings
    for block in settings:
        assert tomllib.loads(block.text), block.name


def test_each_marked_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {*CODE, *ON_THE_SERVER, "json check", "toml run"}
    assert [block.name for page in PAGES for block in blocks(page) if block.kind not in kinds] == []


def test_the_commands_of_the_docs_are_commands() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = [command for page in PAGES for command in commands(page)]
    for program, *arguments in shown:
        match Path(program).name:
            case "nodegraph":
                build_parser().parse_args(arguments)  # ends the program where one is wrong
            case "make":
                assert {argument for argument in arguments if "=" not in argument} <= targets
    assert {"nodegraph", "make"} <= {Path(command[0]).name for command in shown}


def test_fifteen_lines_make_a_node() -> None:
    first = next(block for block in blocks(ROOT / "nodegraph" / "docs" / "plugins.md"))
    assert first.kind == "python plugin"
    assert len([line for line in first.text.splitlines() if line.strip()]) <= 15


def test_each_hook_has_a_section_of_the_plugin_page() -> None:
    sections = set(HEADING.findall((ROOT / "nodegraph" / "docs" / "plugins.md").read_text(encoding="utf-8")))
    assert specified_hooks() - sections == set()
    assert "register_nodes" in specified_hooks()


def test_each_hook_has_a_test() -> None:
    """The test of the hook `x` is called `test_hook_x`, or starts so."""
    found = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    missing = {hook for hook in specified_hooks() if not any(name.startswith(f"test_hook_{hook}") for name in found)}
    assert missing == set()


def test_each_option_of_a_node_is_told_on_the_plugin_page() -> None:
    from nodegraph import node

    text = (ROOT / "nodegraph" / "docs" / "plugins.md").read_text(encoding="utf-8")
    options = [name for name in inspect.signature(node).parameters if name != "id"]
    assert [name for name in options if f"`{name}" not in text] == []


def test_each_page_is_reached_from_the_index() -> None:
    index = (ROOT / "nodegraph" / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [page.name for page in (ROOT / "nodegraph" / "docs").glob("*.md") if page.name != "index.md"]
    assert [page for page in pages if f"({page})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []

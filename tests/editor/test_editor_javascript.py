"""The editor's JavaScript: types, checked by TypeScript, and the tests of what needs no browser, run by node."""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TYPESCRIPT = ROOT / ".make" / "node_modules" / "typescript" / "bin" / "tsc"
LONGEST_FILE, LONGEST_FUNCTION, WIDEST_LINE = 400, 40, 120
BELOW = {"store": ("store/", "geometry/"), "geometry": ("geometry/", "store/types.js")}
"""What the layers that need no browser may import, below `web/`."""

HEAD = re.compile(r"^(\s*)(?!\s|if\b|for\b|while\b|switch\b|catch\b|}).*(\bfunction\b.*|=>|\)) \{$")
"""The first line of a function, a method or an arrow that has a body."""


@pytest.fixture(scope="module")
def node() -> Path:
    """Return the node that comes with playwright."""
    spec = find_spec("playwright")
    if spec is None or spec.origin is None:
        pytest.skip("there is no node: pip install playwright")
    return next((Path(spec.origin).parent / "driver").glob("node*"))


def done(*command: str | Path) -> tuple[int, str]:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False)
    return result.returncode, result.stdout + result.stderr


def scripts(*folders: str) -> dict[str, str]:
    """Return the texts of all scripts below folders by their paths in the checkout."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.js"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_what_needs_no_browser_does_what_its_tests_say(node: Path) -> None:
    tests = [path for path in scripts("tests/editor") if path.endswith(".test.js")]
    code, text = done(node, "--test", "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", *tests)
    assert code == 0, text
    ran = re.search(r"^\S+ pass (\d+)$", text, re.MULTILINE)
    assert ran is not None
    assert int(ran[1]) >= len(tests)


def test_the_types_hold(node: Path) -> None:
    if not TYPESCRIPT.is_file():
        pytest.skip("there is no TypeScript: `make test` gets it where there is npm")
    code, text = done(node, TYPESCRIPT, "-p", "web", "--pretty", "false")
    assert code == 0, text


def functions(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first line and the length of each function, as the indentation tells them."""
    lines = text.splitlines()
    for first, line in enumerate(lines):
        if head := HEAD.match(line):
            end = re.compile(rf"{head[1]}\}}")
            last = next((at for at in range(first + 1, len(lines)) if end.match(lines[at])), first)
            yield first + 1, last - first + 1


def test_files_and_functions_are_short_and_lines_not_wide() -> None:
    wrong = []
    for path, text in scripts("web", "tests/editor").items():
        lines = text.splitlines()
        wrong += [f"{path} has {len(lines)} lines"] if len(lines) > LONGEST_FILE else []
        wrong += [f"{path}:{at} is {len(line)} wide" for at, line in enumerate(lines, 1) if len(line) > WIDEST_LINE]
        wrong += [
            f"{path}:{at}: a function of {length} lines"
            for at, length in functions(text)
            if length > LONGEST_FUNCTION and path.startswith("web/")
        ]
    assert wrong == []


def imported(path: str, text: str) -> Iterator[str]:
    """Yield what a script of `web/` imports, as paths below that."""
    for name in re.findall(r"^(?:import|export)\b[^;]*?\bfrom \"([^\"]+)\";|^import \"([^\"]+)\";", text, re.MULTILINE):
        yield posixpath.relpath(posixpath.join(posixpath.dirname(path), "".join(name)), "web")


def test_store_and_geometry_know_no_page_and_no_network() -> None:
    wrong = [
        f"{path} imports {name}"
        for path, text in scripts("web/store", "web/geometry").items()
        for name in imported(path, text)
        if not name.startswith(BELOW[path.split("/")[1]])
    ]
    assert wrong == []


def test_no_script_makes_markup_or_code_of_text() -> None:
    """What a workflow, a model or a plugin is called must never become part of the page but as text."""
    unsafe = re.compile(
        r"\.(inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\(|new Function\(|console\.log"
    )
    found = {path: match[0] for path, text in scripts("web").items() if (match := unsafe.search(text))}
    assert found == {}

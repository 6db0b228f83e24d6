"""Every command, option and exit code stands in the documentation and in the help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.cli.arguments import build_parser
from nodegraph.cli.exits import MEANINGS, VERIFY_MEANINGS
from nodegraph.engine import events


def commands() -> dict[str, argparse.ArgumentParser]:
    actions = build_parser()._actions
    (action,) = (action for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(action.choices)


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Give the long options of a command and of its actions."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option[1] == "-" and action.help != argparse.SUPPRESS)
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from options(inner)


def sections(root: Path) -> dict[str, str]:
    text = (root / "nodegraph" / "docs" / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", commands())
def test_each_command_has_a_section_that_tells_its_options_and_no_others(root: Path, name: str) -> None:
    told = set(re.findall(r"--[a-z][a-z-]*", sections(root)[name]))
    assert set(options(commands()[name])) - {"--help"} == told


def test_each_exit_code_is_told_with_its_meaning(root: Path) -> None:
    section = sections(root)["Exit codes"]
    for code, meaning in MEANINGS.items():
        assert f"| {code.value} | {meaning}" in section


@pytest.mark.parametrize("parser", [build_parser(), *commands().values()], ids=lambda parser: parser.prog)
def test_each_help_tells_the_exit_codes(parser: argparse.ArgumentParser) -> None:
    text = parser.format_help()
    meanings = VERIFY_MEANINGS if parser.prog.endswith("verify") else MEANINGS
    assert all(re.search(rf"^  {code.value} +{meaning}$", text, re.MULTILINE) for code, meaning in meanings.items())
    assert ("the workflow is invalid" in text) == (meanings is MEANINGS)


def test_the_exit_codes_of_verify_are_told_with_their_meanings(root: Path) -> None:
    section = sections(root)["verify"]
    assert all(f"| {code.value} | {meaning}" in section for code, meaning in VERIFY_MEANINGS.items())


def test_each_event_is_told(root: Path) -> None:
    section = sections(root)["run"]
    kinds = {event.kind for event in events.Event.__subclasses__()}
    told = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    assert kinds | {"result"} <= told
    assert len(kinds) > 5

"""Whatever goes wrong ends in a message and an exit code."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli.arguments import build_parser
from nodegraph.cli.guard import guarded

Command = Callable[..., Any]
Write = Callable[..., Path]


def test_an_error_that_nobody_foresaw_is_one_line_that_tells_how_to_learn_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert guarded(argparse.Namespace(command="check")) == 1  # none of the options that it reads
    err = capsys.readouterr().err
    assert err.startswith("this should not have happened: AttributeError: ")
    assert err.endswith("(--debug shows where)\n")
    assert err.count("\n") == 1


def test_debug_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(argparse.Namespace(command="check", debug=True)) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_shows_where_a_node_failed(command: Command, write: Write) -> None:
    path = write({"odd": {"type": "toys.Fail", "params": {"number": 7}}})
    code, _, err = command("run", path, "--debug")
    assert code == 1
    assert 'raise ValueError(f"{number} is too odd")' in err


def test_debug_shows_why_a_plugin_was_set_aside(command: Command) -> None:
    _, _, err = command("--debug", "plugins")
    assert "ModuleNotFoundError: No module named 'no_such_module_of_toys'" in err
    assert "Traceback" in err
    _, _, err = command("plugins")
    assert err == ""


@pytest.mark.parametrize("name", ["run", "check", "info"])
def test_a_folder_in_place_of_a_file_is_told_in_a_line(command: Command, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    code, out, err = command(name, folder)
    assert (code, out) == (1, "")
    assert str(folder) in err
    assert "should not have happened" not in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("device", ["banana", "cuda:99"])
def test_a_device_that_is_not_there_is_told_before_anything_runs(
    command: Command, root: Path, tiny_models: Path, device: str
) -> None:
    workflow = root / "workflows" / "text_to_image.json"
    model = ("--models", tiny_models, "--set", "checkpoint=tiny.safetensors")
    code, out, err = command("run", workflow, *model, "--device", device)
    assert (code, out) == (2, "")
    assert err.startswith(f"--device: the device {device!r} cannot be used on this machine: there is cpu")


def test_no_device_is_needed_where_no_node_runs_on_one(command: Command, sums: Path) -> None:
    assert command("run", sums, "--device", "banana").code == 0


@pytest.mark.parametrize(
    ("option", "value", "fits"),
    [
        ("--webhooks", "http://127.0.0.1/told", "HOST or HOST:PORT"),
        ("--webhooks", "127.0.0.1:port", "HOST or HOST:PORT"),
        ("--webhooks", "127.0.0.1:70000", "HOST or HOST:PORT"),
        ("--allow-host", "https://pictures.example.org", "a name alone"),
        ("--devices", "gpu", "such as cuda:0,cpu"),
    ],
)
def test_a_server_is_not_begun_with_what_it_could_not_use(command: Command, option: str, value: str, fits: str) -> None:
    code, _, err = command("serve", option, value)
    assert (code, f"argument {option}: got {value!r}, expected " in err, fits in err) == (2, True, True)


def test_what_a_server_can_use_is_taken() -> None:
    hosts = ["--webhooks", "[::1]:9000", "--webhooks", "example.org", "--allow-host", "pictures.example.org"]
    options = build_parser().parse_args(["serve", *hosts, "--devices", "cuda:0, cpu"])
    assert (options.webhooks, options.hosts) == (["[::1]:9000", "example.org"], ["pictures.example.org"])
    assert options.devices == ("cuda:0", "cpu")

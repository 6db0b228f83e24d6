"""`nodegraph check`, `nodes`, `plugins`, `info` and `schema` in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from nodegraph.engine.workflow import load_workflow

Command = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]


def test_check_tells_what_can_be_set_and_to_what(command: Command, sums: Path) -> None:
    code, out, err = command("check", sums)
    assert (code, err) == (0, "")
    head, _, *lines = out.splitlines()
    assert head.startswith(f"{sums}: ok, 3 nodes")
    assert lines == [
        "  a     an integer; now 1",
        "  b     an integer from 0 to 100; now 2",
        '  text  text; now "hello"',
        '  mood  one of calm, loud; now "calm"',
    ]


def test_check_lists_parameters_where_no_input_has_a_name(command: Command, write: Write) -> None:
    path = write({"one": {"type": "toys.Slow"}, "sum": {"type": "toys.Add", "links": {"a": "one.out"}}})
    _, out, _ = command("check", path, "--set", "one.steps=9")
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["one.steps", "one.seconds", "sum.b"]
    assert "one.steps    an integer of at least 1; now 9" in out


def test_check_runs_nothing(command: Command, sums: Path) -> None:
    command("check", sums)
    assert list(Path.cwd().iterdir()) == []


def test_check_tells_every_problem_on_a_line_of_its_own(command: Command, write: Write) -> None:
    nodes = {
        "one": {"type": "toys.Ad", "params": {"a": 1}},
        "two": {"type": "toys.Add", "params": {"a": 1, "b": -1, "c": 0}},
        "three": {"type": "toys.Say", "params": {"text": "x", "mood": "lout"}, "links": {"times": "too.out"}},
    }
    code, out, err = command("check", write(nodes))
    assert (code, out) == (3, "")
    head, *problems = [line for line in err.splitlines() if not line.startswith("set aside")]
    assert head.endswith("workflow.json: 5 problems")
    places = [line.strip().split(": ")[0] for line in problems]
    assert places == ["one.type", "two.params.b", "two.params.c", "three.params.mood", "three.links.times"]
    assert "did you mean 'toys.Add'?" in problems[0]
    assert "did you mean 'loud'?" in problems[3]
    assert "nodegraph plugins" in err  # a plugin that was set aside may have had the node


def test_check_writes_json_for_programs(command: Command, write: Write, sums: Path) -> None:
    code, out, _ = command("check", sums, "--json")
    assert (code, json.loads(out)["ok"]) == (0, True)
    path = write({"two": {"type": "toys.Add", "params": {"a": 1, "b": -1}}})
    code, out, err = command("check", path, "--json")
    assert (code, err) == (3, "")
    (problem,) = json.loads(out)["problems"]
    assert (problem["node"], problem["field"], problem["got"], problem["nearest"]) == ("two", "params.b", -1, 0)


def test_text_that_is_no_json_is_told_with_its_place(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"format": 1,\n "nodes": }')
    code, _, err = command("check", path)
    assert code == 3
    assert "line 2, column 11" in err


def test_nodes_lists_every_type_with_category_and_summary(command: Command) -> None:
    code, out, _ = command("nodes")
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert ["toys.Add", "toys/numbers", "Add two whole numbers."] in rows
    assert ["toys.Old", "toys", "deprecated: use toys.Add"] in rows
    assert "KSampler" in {row[0] for row in rows}


def test_nodes_tells_all_about_one(command: Command) -> None:
    code, out, _ = command("nodes", "toys.Say")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:2] == ["toys.Say [toys]", "Say something."]
    assert "text str required; text" in lines
    assert 'mood str default "calm"; one of calm, loud' in lines
    assert "out str" in lines
    assert "version 1; of toys 1.0" in lines
    _, out, _ = command("nodes", "toys.Add")
    assert "  b  int  default 1; an integer from 0 to 100" in out.splitlines()


def test_nodes_lists_the_files_of_the_given_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "mine.safetensors").write_bytes(b"")
    _, out, _ = command("nodes", "CheckpointLoaderSimple", "--models", tmp_path)
    assert "mine.safetensors" in out


@pytest.mark.parametrize("name", ["nodes", "schema"])
def test_an_unknown_node_type_is_told_with_the_nearest(command: Command, name: str) -> None:
    code, out, err = command(name, "toys.Sae")
    assert (code, out) == (2, "")
    assert "did you mean 'toys.Save'?" in err or "did you mean 'toys.Say'?" in err


def test_an_alias_finds_its_node_type(command: Command) -> None:
    _, out, _ = command("nodes", "toys.Older")
    assert out.startswith("toys.Old ")
    assert "Deprecated: use toys.Add" in out


def test_plugins_lists_what_was_loaded_and_what_was_set_aside(command: Command) -> None:
    code, out, _ = command("plugins")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in out.splitlines()}
    assert code == 0
    assert rows["toys"][:3] == ["1.0", "loaded", "8"]
    assert rows["lost"][1] == "quarantined"
    assert "No module named 'no_such_module_of_toys'" in rows["lost"][-1]
    assert rows["nodegraph.nodes"][-1] == "built in"


def test_plugins_writes_json_for_programs(command: Command) -> None:
    _, out, _ = command("plugins", "--json")
    states = {state["name"]: state for state in json.loads(out)}
    assert "toys.Add" in states["toys"]["nodes"]
    assert states["lost"]["state"] == "quarantined"


def test_info_tells_what_a_checkpoint_is(command: Command, tiny_models: Path) -> None:
    path = tiny_models / "checkpoints" / "tiny.safetensors"
    code, out, _ = command("info", path)
    assert code == 0
    assert "Stable Diffusion 1" in out
    assert "precision   fp32" in out
    assert "missing     nothing" in out
    assert command("info", "tiny.safetensors", "--models", tiny_models)[1] == out
    _, out, _ = command("info", path, "--json")
    info = json.loads(out)
    assert info["parameters"] == sum(part["parameters"] for part in info["parts"]) > 0


def test_info_of_what_is_no_checkpoint_is_one_error(command: Command, tmp_path: Path, tiny_models: Path) -> None:
    path = tmp_path / "page.safetensors"
    path.write_text("<html>")
    assert command("info", path)[0] == 1
    code, out, err = command("info", "tinny.safetensors", "--models", tiny_models)
    assert (code, out) == (1, "")
    assert "did you mean 'tiny.safetensors'?" in err


def test_schema_describes_the_workflow_file(command: Command, sums: Path) -> None:
    _, out, _ = command("schema")
    schema = json.loads(out)
    assert set(schema["properties"]) >= {"format", "nodes", "inputs", "outputs", "subgraphs", "view"}
    assert set(load_workflow(sums).dump()) <= set(schema["properties"])


def test_schema_of_a_node_type_says_what_fits(command: Command) -> None:
    _, out, _ = command("schema", "toys.Say")
    schema = json.loads(out)
    params = schema["properties"]["params"]["properties"]
    assert params["mood"]["enum"] == ["calm", "loud"]
    assert params["mood"]["default"] == "calm"
    assert params["times"]["default"] is None
    assert schema["x-outputs"] == {"out": "str"}


def test_version_is_that_of_the_package(command: Command) -> None:
    assert command("--version") == (0, f"nodegraph {version('nodegraph')}\n", "")


def test_no_command_shows_the_help(command: Command) -> None:
    code, out, err = command()
    assert (code, out) == (2, "")
    assert "commands:" in err


@pytest.mark.parametrize(
    "arguments", [["dance"], ["run"], ["run", "a.json", "--stes", "5"], ["run", "a", "--set", "x"]]
)
def test_wrong_usage_is_told_with_where_the_help_is(command: Command, arguments: list[str]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "--help'" in err.splitlines()[-1]

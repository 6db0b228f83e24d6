"""`nodegraph run` in this process, with toy nodes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]


def test_files_and_named_values_go_to_stdout_and_the_rest_to_stderr(command: Command, sums: Path) -> None:
    code, out, err = command("run", sums)
    assert code == 0
    assert out.splitlines() == [str(Path("output") / "number.txt"), "sum = 3", 'said = "hello"']
    assert Path("output/number.txt").read_text() == "3"
    assert err.startswith("done in ")
    assert "3 nodes ran" in err
    assert "1 file saved" in err
    assert "peak memory" in err


def test_values_are_set_by_name(command: Command, sums: Path) -> None:
    code, out, _ = command("run", sums, "--set", "a=5", "--set", "text=2", "--set", "mood=loud", "--set", "text=3 = x")
    assert code == 0
    assert "sum = 7" in out
    assert 'said = "3 = X"' in out


def test_parameters_are_set_by_node_and_name(command: Command, sums: Path) -> None:
    _, out, _ = command("run", sums, "--set", "add.b=9", "--set", "say.times=2", "--set", "save.name=other.txt")
    assert out.splitlines() == [str(Path("output") / "other.txt"), "sum = 10", 'said = "hellohello"']


def test_a_wired_parameter_that_is_set_is_no_longer_wired(command: Command, sums: Path) -> None:
    code, _, _ = command("run", sums, "--set", "save.value=41")
    assert code == 0
    assert Path("output/number.txt").read_text() == "41"


def test_an_unknown_name_is_told_with_the_nearest_and_all_that_can_be_set(command: Command, sums: Path) -> None:
    code, out, err = command("run", sums, "--set", "tekst=x")
    assert (code, out) == (2, "")
    assert "--set tekst: the workflow has no such input (did you mean 'text'?)" in err
    assert "  b: an integer from 0 to 100" in err
    assert "  mood: one of calm, loud" in err
    assert "such as add.a" in err


def test_an_unknown_parameter_of_a_node_is_told_with_those_it_has(command: Command, sums: Path) -> None:
    code, _, err = command("run", sums, "--set", "say.txt=x")
    assert code == 2
    assert "did you mean 'say.text'?" in err
    assert "say.mood" in err
    assert "add.a" not in err


def test_a_value_that_does_not_fit_is_a_problem_of_the_workflow(command: Command, sums: Path) -> None:
    code, out, err = command("run", sums, "--set", "b=101", "--set", "a=many")
    assert (code, out) == (3, "")
    problems = [line for line in err.splitlines() if line.startswith("  ")]
    assert len(problems) == 2
    assert any("add.params.b" in line and "101" in line and "from 0 to 100" in line for line in problems)
    assert any("add.params.a" in line and "many" in line and "an integer" in line for line in problems)
    assert not Path("output").exists()


@pytest.mark.parametrize("seed", [0, 2**64 - 1])
def test_seed_sets_the_input_of_that_name(command: Command, write: Write, seed: int) -> None:
    nodes = {"one": {"type": "toys.Noise"}, "two": {"type": "toys.Noise", "params": {"seed": 5}}}
    path = write(nodes, inputs={"seed": "one.seed"}, outputs={"one": "one.out", "two": "two.out"})
    _, out, _ = command("run", path, "--seed", seed)
    assert out.splitlines() == [f"one = {seed}", "two = 5"]


def test_seed_sets_every_seed_where_there_is_no_such_input(command: Command, write: Write) -> None:
    inner = {"nodes": {"deep": {"type": "toys.Noise", "params": {"seed": 4}}}, "outputs": {"out": "deep.out"}}
    nodes = {
        "one": {"type": "toys.Noise"},
        "two": {"type": "toys.Noise", "params": {"seed": 5}},
        "three": {"graph": "inner"},
        "wired": {"type": "toys.Noise", "links": {"seed": "sum.out"}},
        "sum": {"type": "toys.Add", "params": {"a": 2}},
    }
    outputs = {name: f"{name}.out" for name in ("one", "two", "three", "wired")}
    _, out, _ = command("run", write(nodes, subgraphs={"inner": inner}, outputs=outputs), "--seed", "77")
    assert out.splitlines() == ["one = 77", "two = 77", "three = 77", "wired = 3"]


def test_seed_of_a_workflow_without_seeds_is_wrong_usage(command: Command, sums: Path) -> None:
    code, _, err = command("run", sums, "--seed", "1")
    assert code == 2
    assert "no node of the workflow has a seed" in err


@pytest.mark.parametrize("seed", ["-1", str(2**64), "1.5", "x", "9" * 5000])
def test_a_seed_out_of_range_is_wrong_usage(command: Command, sums: Path, seed: str) -> None:
    code, _, err = command("run", sums, f"--seed={seed}")
    assert code == 2
    assert "expected a whole number from 0 to 18446744073709551615" in err


def test_what_failed_is_told_with_the_reason_and_what_else_went_on(command: Command, write: Write) -> None:
    nodes = {
        "odd": {"type": "toys.Fail", "params": {"number": 7}},
        "after": {"type": "toys.Add", "links": {"a": "odd.out"}},
        "add": {"type": "toys.Add", "params": {"a": 1}},
        "save": {"type": "toys.Save", "links": {"value": "add.out"}},
    }
    code, out, err = command("run", write(nodes, outputs={"after": "after.out"}))
    assert code == 1
    assert out.splitlines() == [str(Path("output") / "number.txt")]
    assert "node 'odd' (toys.Fail) failed: " in err
    assert "7 is too odd" in err
    assert "1 failed" in err
    assert "1 could not run for want of what failed (after)" in err
    assert "Traceback" not in err


def test_events_are_json_lines_that_end_with_the_result(command: Command, sums: Path) -> None:
    code, out, err = command("run", sums, "--events", "json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert {event["event"] for event in events} >= {"queued", "running", "finished", "output", "result"}
    assert [event["type"] for event in events if event["event"] == "running" and event["node"] == "add"] == ["toys.Add"]
    result = events[-1]
    assert result["event"] == "result"
    assert result["ok"] is True
    assert result["outputs"] == {"sum": 3, "said": "hello"}
    assert result["files"] == [str(Path("output") / "number.txt")]
    assert set(result["timings"]) == {"add", "say", "save"}
    assert err.startswith("done in ")


def test_what_nodes_print_does_not_come_between_the_results(command: Command, write: Write) -> None:
    path = write({"chat": {"type": "toys.Chatty", "params": {"number": 1}}}, outputs={"number": "chat.out"})
    _, out, err = command("run", path)
    assert out == "number = 1\n"
    assert "chatter" in err


def test_explain_tells_of_each_node_why_it_runs(command: Command, sums: Path) -> None:
    _, out, err = command("run", sums, "--explain")
    assert "add (toys.Add): run, " in err
    assert "add (toys.Add)" not in out


def test_results_are_reused_by_the_next_run(command: Command, write: Write) -> None:
    nodes = {"slow": {"type": "toys.Slow", "params": {"steps": 2, "seconds": 0.05}}}
    path = write(nodes, outputs={"steps": "slow.out"})
    command("run", path)
    _, out, err = command("run", path, "--explain")
    assert out == "steps = 2\n"
    assert "slow (toys.Slow): reuse, " in err
    assert "1 reused" in err
    _, out, err = command("run", path, "--explain", "--no-cache")
    assert out == "steps = 2\n"
    assert "1 node ran" in err


def test_explain_tells_what_has_changed_since_the_last_run(command: Command, sums: Path) -> None:
    command("run", sums)
    _, _, err = command("run", sums, "--set", "a=2", "--explain")
    assert "`a` changed from 1 to 2" in err


def test_the_workflow_may_come_by_stdin(command: Command, sums: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(sums.read_bytes())))
    code, out, _ = command("run", "-", "--output", "elsewhere")
    assert code == 0
    assert out.splitlines()[0] == str(Path("elsewhere") / "number.txt")


def test_a_saved_api_graph_runs_with_parameters_by_node(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "api.json"
    path.write_text(
        json.dumps(
            {
                "3": {"class_type": "toys.Add", "inputs": {"a": 1, "b": 2}},
                "4": {"class_type": "toys.Save", "inputs": {"value": ["3", 0], "name": "api.txt"}},
            }
        )
    )
    code, out, _ = command("run", path, "--set", "3.a=8")
    assert code == 0
    assert Path(out.strip()).read_text() == "10"


def test_a_file_that_is_missing_is_told_in_one_line(command: Command) -> None:
    assert command("run", "nowhere.json") == (1, "", "nowhere.json: no such file\n")


def test_an_output_folder_that_cannot_be_made_is_told(command: Command, sums: Path) -> None:
    Path("taken").write_text("")
    code, _, err = command("run", sums, "--output", "taken/below")
    assert code == 1
    assert "taken" in err
    assert "node 'save' (toys.Save) failed" in err

"""`nodegraph new-plugin`: what it writes works at once, as an author would use it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from nodegraph.cli import main
from nodegraph.scaffold.names import NameRefusedError, Names, names_of, refuse_taken
from nodegraph.scaffold.write import files_of, write_plugin

ROOT = Path(__file__).resolve().parent.parent.parent
Run = Callable[..., str]


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a plugin that the command has written."""
    folder = tmp_path_factory.mktemp("plugins")
    assert main(["new-plugin", "Soft.Focus", "--dir", str(folder)]) == 0
    return folder / "nodegraph-soft-focus"


def run(command: Sequence[str | Path], folder: Path, **variables: str | Path) -> str:
    """Run a command as an author does, with this interpreter; return all that it wrote."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTEST_ADDOPTS")}
    environment |= {name: str(value) for name, value in variables.items()}
    words = [sys.executable, *map(str, command)]
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_its_test_passes_before_it_is_installed(plugin: Path) -> None:
    told = run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], plugin)
    assert " passed" in told or told.strip().endswith("[100%]")
    assert "failed" not in told


def test_it_passes_the_checks_that_it_comes_with(plugin: Path) -> None:
    run(["-m", "ruff", "check", "--no-cache"], plugin)
    run(["-m", "ruff", "format", "--check", "--no-cache"], plugin)


@pytest.mark.slow
def test_its_types_are_strict(plugin: Path) -> None:
    # nodegraph is installed editable here, which mypy does not follow: it is told where the sources are. Its settings
    # are as strict, and what `make lint` has learned of torch saves a minute.
    settings = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
    assert settings["strict"] is True
    checked = [plugin / folder for folder in settings["files"]]
    command = ["-m", "mypy", "--config-file", ROOT / "pyproject.toml", "--cache-dir", ROOT / ".mypy_cache", *checked]
    told = run(command, plugin, MYPYPATH=plugin / settings["mypy_path"])
    assert "no issues found" in told


def test_installed_it_is_found_by_its_entry_point_and_its_workflow_runs(plugin: Path, tmp_path: Path) -> None:
    place, copy = tmp_path / "installed", tmp_path / "copy"
    copy.mkdir()
    for path in files_of(Names("soft_focus")):  # pip builds beside the sources
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_bytes((plugin / path).read_bytes())
    pip: list[str | Path] = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--target",
        place,
        copy,
    ]
    run(pip, tmp_path)
    assert "Darken pictures" in run(["-m", "nodegraph", "nodes", "soft_focus.Vignette"], tmp_path, PYTHONPATH=place)
    workflow = plugin / "workflows" / "vignette.json"
    told = run(["-m", "nodegraph", "run", workflow, "--set", "strength=1"], tmp_path, PYTHONPATH=place)
    assert "1 file saved" in told
    code = "from nodegraph.testing import check_node; check_node('soft_focus.Vignette')"
    run(["-c", code], tmp_path, PYTHONPATH=place)


def test_its_settings_name_it_everywhere_alike(plugin: Path) -> None:
    settings = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["project"]["name"] == "nodegraph-soft-focus"
    assert settings["project"]["entry-points"]["nodegraph"] == {"soft_focus": "nodegraph_soft_focus"}
    assert (plugin / "src" / "nodegraph_soft_focus" / "py.typed").exists()
    left = [path for path in files_of(Names("soft_focus")) if "@" in (plugin / path).read_text().replace("@node", "")
            .replace("@hookimpl", "").replace("@pytest", "")]  # fmt: skip
    assert left == []


def test_what_is_there_is_never_written_over(plugin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in plugin.rglob("*") if path.is_file()}
    assert main(["new-plugin", "soft-focus", "--dir", str(plugin.parent)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in plugin.rglob("*") if path.is_file()} == before


def test_a_file_of_that_name_stays_and_nothing_is_left_half_made(tmp_path: Path) -> None:
    (tmp_path / "nodegraph-soft").write_text("mine", encoding="utf-8")
    with pytest.raises(NameRefusedError, match="is there already"):
        write_plugin(Names("soft"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["nodegraph-soft"]


@pytest.mark.parametrize(
    ("text", "pack", "distribution", "module"),
    [
        ("soft", "soft", "nodegraph-soft", "nodegraph_soft"),
        ("nodegraph-soft", "soft", "nodegraph-soft", "nodegraph_soft"),
        ("Soft--Focus", "soft_focus", "nodegraph-soft-focus", "nodegraph_soft_focus"),
        ("nodegraph_soft.focus2", "soft_focus2", "nodegraph-soft-focus2", "nodegraph_soft_focus2"),
    ],
)
def test_one_name_gives_them_all(text: str, pack: str, distribution: str, module: str) -> None:
    names = names_of(text)
    assert (names.pack, names.distribution, names.module) == (pack, distribution, module)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("soft focus", "is no name of a package"),
        ("", "is no name of a package"),
        ("-soft", "is no name of a package"),
        ("../soft", "is no name of a package"),
        ("söft", "is no name of a package"),
        ("s" * 61, "is no name of a package"),
        ("3d", "call it 'my-3d'"),
        ("lambda", "call it 'my-lambda'"),
        ("nodegraph", "nodegraph's own"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new-plugin", "--dir", str(tmp_path), "--", text]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_installed_is_taken() -> None:
    with pytest.raises(NameRefusedError, match=r"'good' is installed already \(of nodegraph-good"):
        refuse_taken(Names("good"))
    refuse_taken(Names("of_nobody"))

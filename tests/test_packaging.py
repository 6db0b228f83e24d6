"""nodegraph installs from a checkout and from a wheel, and finds its files in both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

from nodegraph import resources

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ("nodegraph", "nodes", "web", "workflows", "pyproject.toml", "README.md", "LICENSE")

LOOK_UP = """
import json, nodegraph, nodegraph.nodes
from importlib.metadata import version
from pathlib import Path
from nodegraph import resources

def below(folder):
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if "__pycache__" not in path.parts)

package = Path(nodegraph.__file__).parent
print(json.dumps({
    "package": nodegraph.__file__, "nodes": nodegraph.nodes.__file__, "version": version("nodegraph"),
    "files": below(package), "workflows": below(resources.workflows()), "web": below(resources.web()),
    "found": [str(folder.relative_to(package)) for folder in (resources.docs(), resources.models())],
    "text_to_image": str(resources.workflows() / "text_to_image.json"),
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command away from the checkout and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def below(folder: Path) -> list[str]:
    """Return the names of all files below `folder`, compiled ones left out."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the scripts' folder of an environment that holds nodegraph's wheel, built from a clean copy.

    The libraries are those of this environment; what is installed editable here is not seen there.
    """
    folder = tmp_path_factory.mktemp("packaging")
    copy = folder / "copy"
    copy.mkdir()
    for name in SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    build = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    wheel = folder / run(sys.executable, "-c", build, folder, cwd=copy).splitlines()[-1]
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (purelib / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    shutil.rmtree(copy)
    return scripts


def test_a_wheel_holds_all_that_the_checkout_has(installed: Path, tmp_path: Path) -> None:
    found = json.loads(run(installed / "python", "-c", LOOK_UP, cwd=tmp_path))
    assert Path(found["package"]).is_relative_to(installed.parent)
    assert Path(found["nodes"]).parent == Path(found["package"]).parent / "nodes"
    assert found["version"] == version("nodegraph")
    mapped = {f"{name}/{file}" for name in ("nodes", "web", "workflows") for file in below(ROOT / name)}
    assert set(found["files"]) == {*below(ROOT / "nodegraph"), *mapped}
    assert "py.typed" in found["files"]
    assert found["workflows"] == below(ROOT / "workflows")
    assert found["web"] == below(ROOT / "web")
    assert "index.html" in found["web"]
    assert found["found"] == ["docs", "models"]


def test_the_command_of_a_wheel_checks_a_workflow_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    assert "run" in run(installed / "nodegraph", "--help", cwd=tmp_path)
    found = json.loads(run(installed / "python", "-c", LOOK_UP, cwd=tmp_path))
    run(installed / "nodegraph", "check", found["text_to_image"], cwd=tmp_path)


def test_a_checkout_is_what_an_editable_install_runs(tmp_path: Path) -> None:
    found = json.loads(run(sys.executable, "-c", LOOK_UP, cwd=tmp_path))
    assert Path(found["package"]) == ROOT / "nodegraph" / "__init__.py"
    assert Path(found["nodes"]) == ROOT / "nodes" / "__init__.py"
    assert resources.workflows() == ROOT / "workflows"
    assert found["workflows"] == below(ROOT / "workflows")
    assert "run" in run(Path(sysconfig.get_path("scripts")) / "nodegraph", "--help", cwd=tmp_path)

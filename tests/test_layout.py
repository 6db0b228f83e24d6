"""The house rules that can be measured: who imports whom, how long things are, that importing does nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FUNCTION = 40
LONGEST_FILE = 400

ARROWS: dict[str, set[str]] = {
    "engine": set(),
    "diffusion": set(),
    "training": {"diffusion"},
    "interop": {"engine"},
    "collection": {"engine", "diffusion", "resources", "machine"},
    "nodes": {"nodegraph", "diffusion", "training"},
    "resources": set(),
    "server": {"engine", "interop", "resources"},
}
"""What of ours each layer may import; `nodegraph` stands for the public names. Layers not named may import all."""

LIBRARIES: dict[str, set[str]] = {
    "engine": {"networkx", "pydantic", "pydantic_core", "pluggy"},
    "diffusion": {"torch", "safetensors", "pluggy", "numpy", "PIL", "tokenizers", "instant_clip_tokenizer"},
    "interop": {"networkx", "pydantic", "PIL"},
    "collection": {"torch", "safetensors", "aiohttp", "yarl", "yaml"},
    "server": {"aiohttp", "multidict", "prometheus_client", "pydantic", "yarl"},
}
"""What of others' each layer may import, beside the standard library."""

FOR_TESTS_ALONE = {"diffusers", "transformers", "k_diffusion", "peft", "torchsde", "scipy", "pytest", "hypothesis"}

WITH_TORCH = ("nodegraph.diffusion.", "nodegraph.training.")
WITHOUT_TORCH = ("nodegraph.diffusion.values", "nodegraph.diffusion.registry")
"""What the command line, the checks and the list of nodes need must come at once; the rest may import torch."""


def sources() -> list[Path]:
    return sorted([*(ROOT / "nodegraph").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")])


def of_tests() -> list[Path]:
    return sorted(path for path in (ROOT / "tests").rglob("*.py") if "build" not in path.parts)


def module_name(path: Path) -> str:
    """Return the name that `path` has when it is imported; `nodes/` is `nodegraph.nodes`."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    if parts[0] == "nodes":
        parts.insert(0, "nodegraph")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> str:
    """Return a module's layer: `engine` for `nodegraph.engine.cache`, `nodegraph` for the package itself."""
    _, _, rest = module.partition(".")
    return rest.split(".")[0] or "nodegraph"


def imports(path: Path) -> Iterator[str]:
    """Yield each module that `path` imports anywhere in it, as an absolute name."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                is_module = module in MODULES and f"{module}.{alias.name}" in MODULES
                yield f"{module}.{alias.name}" if is_module else module


MODULES = {module_name(path) for path in sources()}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function of `path` and the number of its lines, decorators and docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            has_docstring = ast.get_docstring(node) is not None
            docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if has_docstring else 0
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1 - docstring


def test_each_layer_imports_only_the_layers_below_it() -> None:
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in sources()
        for name in imports(path)
        if name.split(".")[0] == "nodegraph"
        and (own := layer(module_name(path))) in ARROWS
        and layer(name) not in ARROWS[own] | {own}
    ]
    assert wrong == []


def test_each_layer_imports_only_the_libraries_it_is_meant_to() -> None:
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in sources()
        for name in imports(path)
        if (own := layer(module_name(path))) in LIBRARIES
        and (top := name.split(".")[0]) not in LIBRARIES[own] | {"nodegraph"}
        and top not in sys.stdlib_module_names
    ]
    assert wrong == []


def test_child_processes_know_of_the_server_only_how_it_speaks() -> None:
    names = ("errors", "faults", "protocol", "records", "settings")
    known = {"nodegraph.server", *(f"nodegraph.server.{name}" for name in names)}
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in sources()
        for name in imports(path)
        if layer(module_name(path)) == "workers" and layer(name) == "server" and name not in known
    ]
    assert wrong == []


def test_the_product_imports_no_library_that_only_the_tests_use() -> None:
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in sources()
        for name in imports(path)
        if name.split(".")[0] in FOR_TESTS_ALONE
    ]
    assert wrong == []


def test_nobody_imports_the_built_in_nodes_but_the_composition_root() -> None:
    importers = {
        module_name(path)
        for path in sources()
        for name in imports(path)
        if layer(name) == "nodes" and "nodegraph" in name
    }
    assert {name for name in importers if layer(name) != "nodes"} <= {"nodegraph.runtime"}


@pytest.mark.parametrize("paths", [sources(), of_tests()], ids=["sources", "tests"])
def test_files_and_functions_are_short(paths: list[Path]) -> None:
    long_functions = [
        f"{path.relative_to(ROOT)}: {name} has {lines} lines"
        for path in paths
        for name, lines in functions(path)
        if lines > LONGEST_FUNCTION
    ]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    long_files = [
        f"{path.relative_to(ROOT)} has {lines} lines" for path, lines in lengths.items() if lines > LONGEST_FILE
    ]
    assert long_functions + long_files == []


def test_the_tests_are_no_packages() -> None:
    assert [path for path in of_tests() if path.name == "__init__.py" and "plugins" not in path.parts] == []


def test_every_package_is_listed_for_the_wheel() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    packages = {module_name(path) for path in sources() if path.name == "__init__.py"}
    assert set(listed) == packages | {"nodegraph.web", "nodegraph.workflows"}
    folders = {path.parent for path in sources()}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


WATCH = """
import importlib, json, logging, os, sys, threading

# Libraries do what they like when they are imported: they come before the watch.
for name in json.loads(sys.argv[2]):
    importlib.import_module(name)

seen = []

def ours():
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.split(".")[0] == "nodegraph":
            return name
        frame = frame.f_back
    return None

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT

ACTS = {"os.mkdir", "os.remove", "os.rename", "os.putenv", "os.unsetenv", "socket.connect", "socket.bind",
        "subprocess.Popen", "os.system"}

def audit(event, args):
    if event in ACTS or (event == "open" and isinstance(args[2], int) and args[2] & WRITES):
        if "__pycache__" not in str(args[0]) and (name := ours()):
            seen.append(f"{name}: {event} {args[0]!r}")

class Environment(type(os.environ)):
    def __getitem__(self, key):
        caller = sys._getframe(1)
        while caller.f_globals.get("__name__") in {"os", "collections.abc", "_collections_abc"}:
            caller = caller.f_back
        if caller.f_globals.get("__name__", "").split(".")[0] == "nodegraph":
            seen.append(f"{caller.f_globals['__name__']}: reads the environment's {key}")
        return super().__getitem__(key)

def watched(owner, name, direct=False):
    function = getattr(owner, name)
    def call(*args, **kwargs):
        caller = sys._getframe(1).f_globals.get("__name__", "") if direct else ours()
        if caller and caller.split(".")[0] == "nodegraph":
            seen.append(f"{caller}: calls {name}")
        return function(*args, **kwargs)
    setattr(owner, name, call)

sys.addaudithook(audit)
os.environ.__class__ = Environment
import importlib.metadata, pluggy
watched(importlib.metadata, "entry_points", direct=True)  # pydantic and networkx look for their own plugins
watched(importlib.metadata, "distributions", direct=True)
watched(pluggy.PluginManager, "load_setuptools_entrypoints")
if "torch" in sys.modules:
    import torch
    for name in ("is_available", "device_count", "get_device_properties", "current_device", "init"):
        watched(torch.cuda, name)
    for name in ("manual_seed", "set_num_threads", "set_default_dtype", "set_grad_enabled"):
        watched(torch, name)
threads, handlers = threading.active_count(), list(logging.getLogger().handlers)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
if threading.active_count() != threads:
    seen.append("a thread was started")
if logging.getLogger().handlers != handlers:
    seen.append("logging was configured")
print(json.dumps({"seen": seen, "torch": "torch" in sys.modules, "aiohttp": "aiohttp" in sys.modules}))
"""


def watch_imports(modules: list[str], first: list[str]) -> dict[str, object]:
    """Import `modules` in a process of their own and return what they did there."""
    command = [sys.executable, "-c", WATCH, json.dumps(modules), json.dumps(first)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.parent)
    assert result.returncode == 0, result.stderr
    report: dict[str, object] = json.loads(result.stdout)
    return report


def test_importing_any_module_does_nothing() -> None:
    report = watch_imports(sorted(MODULES), ["torch", "rich.progress", "tokenizers"])
    assert report["seen"] == []


def test_what_answers_at_once_imports_no_torch() -> None:
    modules = sorted(name for name in MODULES if name in WITHOUT_TORCH or not name.startswith(WITH_TORCH))
    report = watch_imports(modules, [])
    assert report["seen"] == []
    assert report["torch"] is False


def test_the_servers_front_process_imports_nothing_heavy() -> None:
    """Starting in half a second, on little memory, hangs on it; plugins run in processes of their own."""
    heavy = ("torch", "numpy", "PIL", "rich", "networkx", "pluggy", "safetensors", "tokenizers", "prometheus_client")
    code = f"import json, sys, nodegraph.server.serve; print(json.dumps([n for n in {heavy} if n in sys.modules]))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == []


def test_the_watch_sees_what_a_module_does(tmp_path: Path) -> None:
    """A watch that never barks would let everything pass."""
    package = tmp_path / "nodegraph"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os\nos.environ.get('HOME')\nopen('written', 'w').close()\nos.mkdir('made')\n"
    )
    command = [sys.executable, "-c", WATCH, '["nodegraph"]', "[]"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    seen = json.loads(result.stdout)["seen"]
    assert [entry.split(": ")[1].split()[0] for entry in seen] == ["reads", "open", "os.mkdir"]

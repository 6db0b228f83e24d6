"""Plugins: found by real entry points, registered, and put aside with their reason when they fail."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nodegraph.engine.errors import PluginError
from nodegraph.engine.hooks import hookimpl, hookspec
from nodegraph.engine.node import node
from nodegraph.engine.plugins import Plugins, load_plugins
from nodegraph.engine.values import verify

NODE = '''
from nodegraph.engine.hooks import hookimpl
from nodegraph.engine.node import node


@node({id!r}, aliases={aliases!r})
def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


@hookimpl
def register_nodes():
    return [add]
'''
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install distributions with entry points, as pip lays them out, for one test."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def write(name: str, code: str, *, package: str = "", entry: str = "", version: str = "1.0") -> None:
        package, module = package or name, f"plug_{len(made)}_{tmp_path.name}".replace("-", "_")
        made.append(module)
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[nodegraph]\n{name} = {entry or module}\n")
        importlib.invalidate_caches()

    yield write
    for module in made:
        sys.modules.pop(module, None)


def states(plugins: Plugins) -> dict[str, str]:
    """Return what became of the plugins of a test; others may be installed beside them."""
    return {state.name: state.reason or state.state for state in plugins.report if state.name.startswith("t_")}


def test_a_plugin_of_another_distribution_is_found_by_its_entry_point(install: Install) -> None:
    install("t_blur", NODE.format(id="t_blur.Add", aliases=("OldAdd",)), package="t-blur", version="2.1")
    plugins = load_plugins()
    spec = plugins.registry["t_blur.Add"]
    assert (spec.plugin, spec.plugin_version) == ("t_blur", "2.1")
    assert plugins.registry["OldAdd"] is spec
    assert "OldAdd" not in list(plugins.registry)
    state = plugins.states["t_blur"]
    assert (state.state, state.package, state.version, state.nodes) == ("loaded", "t-blur", "2.1", ("t_blur.Add",))
    assert state.import_seconds > 0


def test_entry_points_are_left_alone_on_request(install: Install) -> None:
    install("t_blur", "raise RuntimeError")
    assert load_plugins(entry_points=False).report == ()


FAILING = {
    "missing package": ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
    "error": ("1 / 0", "ZeroDivisionError: division by zero"),
    "syntax": ("def (", "SyntaxError: "),
    "exit": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "base exception": ("class Panic(BaseException): ...\nraise Panic('rust')", "Panic: rust"),
    "no hook": ("x = 1", "implements no hook; mark one with @hookimpl"),
    "unknown hook": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef register_node(): ...",
        "unknown hook 'register_node' (did you mean 'register_nodes'?)",
    ),
    "wrong argument": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef node_event(evnt): ...",
        "wrong hook: node_event takes 'evnt'; what it is given is (event)",
    ),
    "hook raises": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef register_nodes(): return [][0]",
        "register_nodes failed: IndexError: list index out of range",
    ),
    "hook exits": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef register_nodes(): raise SystemExit",
        "register_nodes failed: SystemExit()",
    ),
    "not a list": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef register_nodes(): return 'abc'",
        "register_nodes returned 'abc'; it returns a list of functions",
    ),
    "a dictionary of classes": (
        "from nodegraph.engine.hooks import hookimpl\n@hookimpl\ndef register_nodes(): return {'Blur': int}",
        "register_nodes returned 'Blur' among its nodes",
    ),
    "not marked": (
        "from nodegraph.engine.hooks import hookimpl\ndef f(a: int) -> int: ...\n"
        "@hookimpl\ndef register_nodes(): return [f]",
        "'f' is not marked with @node",
    ),
    "no namespace": (
        NODE.format(id="Add", aliases=()),
        "the node id 'Add' has no namespace; a plugin's ids are 'pack.Add'",
    ),
    "no hint": (
        NODE.format(id="t_bad.Add", aliases=()).replace("a: int", "a"),
        "missing type hint for parameter 'a' of t_bad.Add in ",
    ),
    "wrong default": (
        NODE.format(id="t_bad.Add", aliases=()).replace("b: int = 1", "b: int = 'x'"),
        "the default of 'b' of t_bad.Add does not fit it: got the text \"x\"; expected an integer",
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_failing_plugin_is_put_aside_and_the_rest_loads(case: str, install: Install) -> None:
    code, reason = FAILING[case]
    install("t_bad", code)
    install("t_good", NODE.format(id="t_good.Add", aliases=()))
    plugins = load_plugins()
    assert reason in states(plugins)["t_bad"]
    assert states(plugins)["t_good"] == "loaded"
    assert plugins.states["t_bad"].state == "quarantined"
    assert "t_good.Add" in plugins.registry
    assert not [name for name in plugins.registry if name.startswith("t_bad")]
    assert not plugins.manager.has_plugin("t_bad")


def test_an_entry_point_that_leads_nowhere(install: Install) -> None:
    install("t_lost", "", entry="no_such_module:thing")
    assert "ModuleNotFoundError" in states(load_plugins())["t_lost"]


def test_an_interrupt_while_a_plugin_loads_is_not_swallowed(install: Install) -> None:
    install("t_slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_a_clash_names_both_plugins_and_the_first_keeps_its_nodes(install: Install) -> None:
    install("t_a", NODE.format(id="t_pack.Add", aliases=()))
    install("t_b", NODE.format(id="t_pack.Add", aliases=()))
    install("t_c", NODE.format(id="t_c.Add", aliases=("t_pack.Add",)))
    plugins = load_plugins()
    reason = "'t_pack.Add' of plugin {!r} is already a node id of plugin 't_a'"
    assert states(plugins) == {"t_a": "loaded", "t_b": reason.format("t_b"), "t_c": reason.format("t_c")}
    assert plugins.registry["t_pack.Add"].plugin == "t_a"
    assert "t_c.Add" not in plugins.registry


def test_a_plugin_that_registers_an_id_twice(install: Install) -> None:
    install("t_twice", NODE.format(id="t_twice.Add", aliases=("t_twice.Add",)))
    assert states(load_plugins())["t_twice"] == "plugin 't_twice' registers the node id 't_twice.Add' twice"


def test_two_plugins_of_one_name(install: Install) -> None:
    install("t_same", NODE.format(id="t_same.Add", aliases=()), package="t-first")
    install("t_same", NODE.format(id="t_same.Sub", aliases=()), package="t-second")
    found = states(load_plugins())
    taken = "the name 't_same' is taken by the plugin 't_same' (of t-first)"
    assert found == {"t_same": "loaded", "t_same@t-second": taken}


def test_what_a_plugin_prints_does_not_reach_the_output(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    install("t_loud", "print('hello')\n" + NODE.format(id="t_loud.Add", aliases=()))
    install("t_bad", "print('before I fail')\n1 / 0")
    assert states(load_plugins()) == {"t_loud": "loaded", "t_bad": "ZeroDivisionError: division by zero"}
    assert capsys.readouterr() == ("", "")


def test_the_registry_tells_why_a_node_type_is_absent(install: Install) -> None:
    install("t_bad", "1 / 0")
    registry = load_plugins().registry
    assert registry.why_absent("t_bad.Add") == "the plugin 't_bad' is quarantined: ZeroDivisionError: division by zero"
    assert registry.why_absent("t_unknown.Add") is None


@node("Plain")
def plain(a: int) -> int:
    return a


def module_with(**members: object) -> ModuleType:
    module = ModuleType("builtin_nodes")
    vars(module).update(members)
    return module


def test_built_in_nodes_need_no_namespace() -> None:
    module = module_with(register_nodes=hookimpl(lambda: [plain]))
    module.register_nodes.__name__ = "register_nodes"
    plugins = load_plugins(builtin=[module], entry_points=False)
    assert plugins.registry["Plain"].plugin == "builtin_nodes"
    assert plugins.registry["Plain"].plugin_version != ""
    assert plugins.report[0].builtin


def test_a_failing_built_in_plugin_is_raised() -> None:
    with pytest.raises(PluginError, match="built-in plugin 'no_such_nodes': ModuleNotFoundError"):
        load_plugins(builtin=["no_such_nodes"], entry_points=False)
    module = module_with(register_nodes=hookimpl(lambda: [plain, plain]))
    with pytest.raises(PluginError, match="registers the node id 'Plain' twice"):
        load_plugins(builtin=[module], entry_points=False)


class OtherLayer:
    """Hook specifications of a layer above."""

    @hookspec
    def register_colours(self, wanted: int) -> list[str]:
        """Return names of colours."""
        return []


COLOURS = """
from nodegraph.engine.hooks import hookimpl
@hookimpl
def register_colours(wanted):
    if wanted > 1: raise ValueError("too many")
    return ["red"]
"""


def test_other_layers_bring_their_own_hooks(install: Install) -> None:
    install("t_red", COLOURS)
    plugins = load_plugins(specs=[OtherLayer])
    assert [(state.name, result) for state, result in plugins.collect("register_colours", wanted=1)] == [
        ("t_red", ["red"])
    ]
    assert list(plugins.collect("register_colours", wanted=2)) == []
    assert states(plugins)["t_red"] == "register_colours failed: ValueError: too many"
    assert list(plugins.collect("register_colours", wanted=1)) == []


def test_quarantine_takes_the_nodes_out(install: Install) -> None:
    install("t_blur", NODE.format(id="t_blur.Add", aliases=("OldAdd",)))
    plugins = load_plugins()
    plugins.quarantine("t_blur", "its sampler clashes")
    assert "t_blur.Add" not in plugins.registry
    assert plugins.registry.why_absent("OldAdd") == "its plugin 't_blur' is quarantined: its sampler clashes"


def test_events_reach_every_plugin_that_listens(install: Install) -> None:
    heard: list[Any] = []
    plugins = load_plugins(entry_points=False)
    listener = SimpleNamespace(node_event=hookimpl(lambda event: heard.append(event)))
    plugins.manager.register(listener, "listener")
    plugins.manager.hook.node_event(event="started")
    assert heard == ["started"]


def test_what_the_built_in_nodes_declare_is_right() -> None:
    plugins = load_plugins(builtin=["nodegraph.nodes"], entry_points=False)
    assert len(plugins.registry) > 10
    for spec in plugins.registry.values():
        verify(spec)


def test_plugins_are_skipped_on_request_and_told_of_before_their_import(install: Install) -> None:
    for name in ("hangs", "works"):
        install(name, NODE.format(id=f"{name}.Add", aliases=()))
    told: list[str] = []
    plugins = load_plugins(skip={"hangs": "its import took more than 20 s"}, importing=told.append)
    assert plugins.states["hangs"].state == "quarantined"
    assert plugins.states["hangs"].reason == "its import took more than 20 s"
    assert "works" in told
    assert "hangs" not in told
    assert "works.Add" in plugins.registry
    assert "hangs.Add" not in plugins.registry
    assert load_plugins(skip=["works"]).states["works"].reason == "it was left out on request"


def test_what_hangs_is_told_of_before_it_is_imported(install: Install) -> None:
    install("stops", "raise KeyboardInterrupt")
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        load_plugins(importing=told.append)
    assert told[-1] == "stops"

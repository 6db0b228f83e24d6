"""Extensions: built-in ones by name, those of plugins, and what happens when names clash."""

import subprocess
import sys
from collections.abc import Iterable, Iterator

import pluggy
import pytest

from nodegraph.diffusion import registry
from nodegraph.diffusion.registry import DiffusionHooks, ExtensionError, Sampler, Scheduler

hookimpl = pluggy.HookimplMarker("nodegraph")


class Good:
    @hookimpl
    def register_samplers(self) -> Iterable[Sampler]:
        return [Sampler("good.euler", "nodegraph.diffusion.sampling.samplers:euler")]

    @hookimpl
    def register_schedulers(self) -> Iterable[Scheduler]:
        return (scheduler for scheduler in [Scheduler("good.two", lambda table, steps: [table.sigma_max, 0.0])])


class Clashing:
    @hookimpl
    def register_samplers(self) -> Iterable[Sampler]:
        return [Sampler("clashing.new", "a:b"), Sampler("euler", "a:b")]


class Failing:
    @hookimpl
    def register_schedulers(self) -> Iterable[Scheduler]:
        raise OSError("no disk")


class Wrong:
    @hookimpl
    def register_samplers(self) -> Iterable[object]:
        return ["euler"]


@pytest.fixture
def manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("nodegraph")
    manager.add_hookspecs(DiffusionHooks)
    manager.register(Good(), "good")
    return manager


@pytest.fixture
def restore() -> Iterator[None]:
    before = registry.active()
    yield
    registry.activate(before)


def test_names_are_told_without_torch() -> None:
    code = (
        "import sys\nfrom nodegraph.diffusion.registry import sampler_names, scheduler_names\n"
        "assert 'euler' in sampler_names() and 'karras' in scheduler_names()\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", registry.sampler_names())
def test_built_in_samplers_resolve_to_functions_of_their_own_name(name: str) -> None:
    function = registry.get_sampler(name).resolve()
    assert getattr(function, "__name__", "") == {"ddim": "euler"}.get(name, name.removesuffix("_gpu"))


@pytest.mark.parametrize("name", registry.scheduler_names())
def test_built_in_schedulers_resolve_to_functions_of_their_own_name(name: str) -> None:
    assert getattr(registry.get_scheduler(name).resolve(), "__name__", "") == name


def test_unknown_names_tell_the_nearest() -> None:
    with pytest.raises(ExtensionError, match="unknown sampler 'eulr': did you mean 'euler'"):
        registry.get_sampler("eulr")
    with pytest.raises(ExtensionError, match="unknown scheduler '0000': there are simple"):
        registry.get_scheduler("0000")


def test_a_function_that_cannot_be_imported_names_the_sampler_and_the_place() -> None:
    for place in ("nodegraph.no_such_module:euler", "nodegraph.diffusion.registry:no_such_function"):
        with pytest.raises(ExtensionError, match=f"sampler 'lost' cannot be loaded from '{place}'"):
            Sampler("lost", place).resolve()


@pytest.mark.usefixtures("restore")
def test_extensions_of_a_plugin_are_found_once_active(manager: pluggy.PluginManager) -> None:
    extensions = registry.collect(manager)
    assert "good.euler" not in registry.sampler_names()
    before = registry.activate(extensions)
    assert "good.euler" not in before.samplers
    assert registry.get_sampler("good.euler").resolve() is registry.get_sampler("euler").resolve()
    assert registry.scheduler_names()[-1] == "good.two"
    assert extensions.owners["samplers", "good.euler"] == "good"
    assert extensions.owners["samplers", "euler"] == "nodegraph"


def test_a_clash_names_both_plugins(manager: pluggy.PluginManager) -> None:
    manager.register(Clashing(), "clashing")
    with pytest.raises(ExtensionError, match="the sampler 'euler' is in both 'nodegraph' and 'clashing'"):
        registry.collect(manager)


def test_a_bad_plugin_is_left_out_whole_and_told(manager: pluggy.PluginManager) -> None:
    for plugin in (Clashing(), Failing(), Wrong()):
        manager.register(plugin, type(plugin).__name__)
    told: dict[str, str] = {}
    extensions = registry.collect(manager, lambda plugin, error: told.update({plugin: str(error)}))
    assert "good.euler" in extensions.samplers
    assert "clashing.new" not in extensions.samplers
    assert set(told) == {"Clashing", "Failing", "Wrong"}
    assert told["Failing"] == "no disk"
    assert "register_samplers gave 'euler', expected Sampler" in told["Wrong"]


def test_an_unforeseen_failure_names_the_plugin(manager: pluggy.PluginManager) -> None:
    manager.register(Failing(), "failing")
    with pytest.raises(ExtensionError, match="plugin 'failing' cannot register its extensions: no disk"):
        registry.collect(manager)

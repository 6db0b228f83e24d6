"""Samplers, schedulers and model families by name: the built-in ones and those of plugins; imports no torch.

The composition root adds `DiffusionHooks` to its pluggy manager, gathers with `collect` what the plugins register and
makes that the process's choice with `activate`. Until then the built-in ones hold.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import pluggy

from nodegraph.diffusion.weights.family import Family
from nodegraph.diffusion.weights.layouts.sd1 import SD1

if TYPE_CHECKING:
    from nodegraph.diffusion.sampling.contract import SamplerFunction, SchedulerFunction

PROJECT = "nodegraph"
hookspec = pluggy.HookspecMarker(PROJECT)

ItemT = TypeVar("ItemT")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
NoiseKind = Literal["gaussian", "brownian", "brownian_gpu"]


class ExtensionError(ValueError):
    """A sampler, scheduler or family that is unknown, clashes with another or cannot be loaded."""


@dataclass(frozen=True)
class Sampler:
    """A sampler by name: a generator function `(denoise, x, sigmas)`, or where it stands as `"module:attribute"`.

    The function may also take, by keyword and only if it names them, `noise` (a `NoiseSource`), `path` (how the model
    mixes data with noise), `both` (a denoiser that returns the guided and the unconditional clean sample), `table`
    (the model's noise levels), and options of its own, which have defaults.
    """

    name: str
    function: SamplerFunction | str
    noise: NoiseKind = "gaussian"
    """Where `noise` comes from: fresh draws, or one Brownian path drawn on the CPU (or on the model's device)."""
    discard_penultimate: bool = False
    """Compute one noise level more and leave the last but one out, for samplers that step between two levels."""
    fresh_inpaint_noise: bool = False
    """Fill the kept part of a masked latent with noise of its own instead of the initial noise."""
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The function's own options, by name."""

    def with_options(self, **options: Any) -> Sampler:
        """Return the sampler with further options."""
        return replace(self, options={**self.options, **options})

    def resolve(self) -> SamplerFunction:
        """Return the function, importing it if it was given as a string; raise ExtensionError if that fails."""
        return _resolve("sampler", self.name, self.function)


@dataclass(frozen=True)
class Scheduler:
    """A scheduler by name: a function `(table, steps) -> descending noise levels`, or `"module:attribute"`."""

    name: str
    function: SchedulerFunction | str

    def resolve(self) -> SchedulerFunction:
        """Return the function, importing it if it was given as a string; raise ExtensionError if that fails."""
        return _resolve("scheduler", self.name, self.function)


class DiffusionHooks:
    """The hooks of the diffusion library; each returns a sequence of what it adds."""

    @hookspec
    def register_families(self) -> Iterable[Family]:
        """Return the model families that the plugin can load; a file is of the first that fits, built-in ones first."""
        raise NotImplementedError

    @hookspec
    def register_samplers(self) -> Iterable[Sampler]:
        """Return the plugin's samplers."""
        raise NotImplementedError

    @hookspec
    def register_schedulers(self) -> Iterable[Scheduler]:
        """Return the plugin's schedulers."""
        raise NotImplementedError


_KINDS: Mapping[str, Any] = MappingProxyType({"families": Family, "samplers": Sampler, "schedulers": Scheduler})


@dataclass(frozen=True)
class Extensions:
    """What can be named: samplers, schedulers and families, and who brought each."""

    samplers: Mapping[str, Sampler] = field(default_factory=dict)
    schedulers: Mapping[str, Scheduler] = field(default_factory=dict)
    families: Mapping[str, Family] = field(default_factory=dict)
    owners: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """The plugin by (kind, name), such as ("samplers", "euler")."""

    def extended(self, plugin: str, **added: Iterable[Any]) -> Extensions:
        """Return a copy with a plugin's `samplers`, `schedulers` and `families`.

        Raises ExtensionError, naming both plugins, if a name is taken, and TypeError for what is not an extension.
        """
        tables: dict[str, dict[str, Any]] = {kind: dict(getattr(self, kind)) for kind in _KINDS}
        owners = dict(self.owners)
        for kind, items in added.items():
            for item in items:
                if not isinstance(item, _KINDS[kind]):
                    raise TypeError(f"{plugin}: register_{kind} gave {item!r}, expected {_KINDS[kind].__name__}")
                if item.name in tables[kind]:
                    one = kind.removesuffix("s").replace("familie", "family")
                    owner = owners[kind, item.name]
                    raise ExtensionError(f"the {one} {item.name!r} is in both {owner!r} and {plugin!r}")
                tables[kind][item.name] = item
                owners[kind, item.name] = plugin
        return Extensions(owners=owners, **tables)


_SAMPLING = "nodegraph.diffusion.sampling"
_DROPPING: Mapping[str, Any] = MappingProxyType({"discard_penultimate": True})
_BROWNIAN: Mapping[str, Any] = MappingProxyType({"noise": "brownian"})
_ON_GPU: Mapping[str, Any] = MappingProxyType({"noise": "brownian_gpu"})


def _built_in(module: str, name: str, function: str = "", /, **fields: Any) -> Sampler:
    return Sampler(name, f"{_SAMPLING}.{module}:{function or name}", **fields)


BUILT_IN = Extensions().extended(
    "nodegraph",
    families=[SD1],
    samplers=[
        _built_in("samplers", "euler"),
        _built_in("cfg_pp", "euler_cfg_pp"),
        _built_in("stochastic", "euler_ancestral"),
        _built_in("cfg_pp", "euler_ancestral_cfg_pp"),
        _built_in("samplers", "heun"),
        _built_in("samplers", "heunpp2"),
        _built_in("exponential", "exp_heun_2_x0"),
        _built_in("exponential", "exp_heun_2_x0_sde"),
        _built_in("samplers", "dpm_2", **_DROPPING),
        _built_in("stochastic", "dpm_2_ancestral", **_DROPPING),
        _built_in("multistep", "lms"),
        _built_in("dpm_solver", "dpm_fast"),
        _built_in("dpm_solver", "dpm_adaptive"),
        _built_in("stochastic", "dpmpp_2s_ancestral"),
        _built_in("cfg_pp", "dpmpp_2s_ancestral_cfg_pp"),
        _built_in("sde", "dpmpp_sde", **_BROWNIAN),
        _built_in("sde", "dpmpp_sde_gpu", "dpmpp_sde", **_ON_GPU),
        _built_in("samplers", "dpmpp_2m"),
        _built_in("cfg_pp", "dpmpp_2m_cfg_pp"),
        _built_in("sde", "dpmpp_2m_sde", **_BROWNIAN),
        _built_in("sde", "dpmpp_2m_sde_gpu", "dpmpp_2m_sde", **_ON_GPU),
        _built_in("sde", "dpmpp_2m_sde_heun", **_BROWNIAN),
        _built_in("sde", "dpmpp_2m_sde_heun_gpu", "dpmpp_2m_sde_heun", **_ON_GPU),
        _built_in("sde", "dpmpp_3m_sde", **_BROWNIAN),
        _built_in("sde", "dpmpp_3m_sde_gpu", "dpmpp_3m_sde", **_ON_GPU),
        _built_in("stochastic", "ddpm"),
        _built_in("stochastic", "lcm"),
        _built_in("multistep", "ipndm"),
        _built_in("multistep", "ipndm_v"),
        _built_in("multistep", "deis"),
        _built_in("exponential", "res_multistep"),
        _built_in("exponential", "res_multistep_cfg_pp"),
        _built_in("exponential", "res_multistep_ancestral"),
        _built_in("exponential", "res_multistep_ancestral_cfg_pp"),
        _built_in("multistep", "gradient_estimation"),
        _built_in("cfg_pp", "gradient_estimation_cfg_pp"),
        _built_in("er_sde", "er_sde"),
        _built_in("exponential", "seeds_2"),
        _built_in("exponential", "seeds_3"),
        _built_in("sa_solver", "sa_solver"),
        _built_in("sa_solver", "sa_solver_pece"),
        _built_in("samplers", "ddim", "euler", fresh_inpaint_noise=True),
        _built_in("unipc", "uni_pc", **_DROPPING),
        _built_in("unipc", "uni_pc_bh2", **_DROPPING),
    ],
    schedulers=[
        Scheduler(name, f"{_SAMPLING}.schedules:{name}")
        for name in (
            "simple",
            "sgm_uniform",
            "karras",
            "exponential",
            "ddim_uniform",
            "beta",
            "normal",
            "linear_quadratic",
            "kl_optimal",
        )
    ],
)

_active = BUILT_IN


def collect(
    manager: pluggy.PluginManager, on_error: Callable[[str, Exception], None] | None = None, base: Extensions = BUILT_IN
) -> Extensions:
    """Return `base` and what the plugins of `manager`, which knows `DiffusionHooks`, register.

    A plugin that fails, clashes or gives something else is left out whole and told to `on_error(plugin, error)`;
    without `on_error` the error is raised, an unforeseen one chained to an ExtensionError that names the plugin.
    """
    contributions: dict[str, dict[str, Callable[[], Iterable[Any]]]] = {}
    for kind in _KINDS:
        for hook in getattr(manager.hook, f"register_{kind}").get_hookimpls():
            contributions.setdefault(hook.plugin_name, {})[kind] = hook.function
    extensions = base
    for plugin, functions in contributions.items():
        try:
            extensions = extensions.extended(plugin, **{kind: list(give()) for kind, give in functions.items()})
        except Exception as error:  # a plugin may raise anything
            if on_error is not None:
                on_error(plugin, error)
            elif isinstance(error, ExtensionError):
                raise
            else:
                raise ExtensionError(f"plugin {plugin!r} cannot register its extensions: {error}") from error
    return extensions


def activate(extensions: Extensions) -> Extensions:
    """Make `extensions` the ones that names are looked up in, and return those that held before."""
    global _active
    before, _active = _active, extensions
    return before


def active() -> Extensions:
    """Return the extensions that names are looked up in."""
    return _active


def sampler_names() -> list[str]:
    """Return the names of all samplers."""
    return list(_active.samplers)


def scheduler_names() -> list[str]:
    """Return the names of all schedulers."""
    return list(_active.schedulers)


def families() -> list[Family]:
    """Return the model families in the order in which files are compared with them."""
    return list(_active.families.values())


def get_sampler(name: str) -> Sampler:
    """Return the sampler of that name; raise ExtensionError with the nearest name if there is none."""
    return _get("sampler", _active.samplers, name)


def get_scheduler(name: str) -> Scheduler:
    """Return the scheduler of that name; raise ExtensionError with the nearest name if there is none."""
    return _get("scheduler", _active.schedulers, name)


def _get(kind: str, table: Mapping[str, ItemT], name: str) -> ItemT:
    if name in table:
        return table[name]
    near = get_close_matches(name, table, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(table)}"
    raise ExtensionError(f"unknown {kind} {name!r}: {hint}")


def _resolve(kind: str, name: str, function: FunctionT | str) -> FunctionT:
    if not isinstance(function, str):
        return function
    module, _, attribute = function.partition(":")
    try:
        found: FunctionT = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ExtensionError(f"the {kind} {name!r} cannot be loaded from {function!r}: {error}") from error
    return found

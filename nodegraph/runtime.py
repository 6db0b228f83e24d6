"""The composition root: plugins, folders, cache and executor put together, for the command line and for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from nodegraph import resources
from nodegraph.collection.kinds import KINDS, PICKLED
from nodegraph.collection.places import model_folders
from nodegraph.collection.setup import collect
from nodegraph.diffusion import registry as diffusion
from nodegraph.engine.aim import aimed
from nodegraph.engine.cache import Entry, NoCache
from nodegraph.engine.check import check
from nodegraph.engine.errors import WorkflowError
from nodegraph.engine.folders import Folders
from nodegraph.engine.plugins import Plugins, Registry, load_plugins
from nodegraph.engine.questions import NO_ANSWERS, Answers
from nodegraph.engine.spec import Json
from nodegraph.engine.workflow import Workflow, load_workflow
from nodegraph.interop.comfy_api import is_api, read_api, write_api
from nodegraph.machine import calm_threads, gpu_budget, network_budget, remove_old, total_memory, user_cache
from nodegraph.workers import hooks as server

if TYPE_CHECKING:
    from nodegraph.engine.context import CancelToken
    from nodegraph.engine.events import Event
    from nodegraph.engine.executor import Executor
    from nodegraph.engine.explain import History
    from nodegraph.engine.graph import Graph
    from nodegraph.engine.plan import Plan
    from nodegraph.outputs import Outputs

SPECS = (diffusion.DiffusionHooks, server)
"""The hook specifications of the layers above the engine."""
HISTORY = "history.json"
"""What nodes were last made of, in the data folder."""
PREVIEWS_STAY = 24 * 3600
"""Seconds that a previewed picture is kept in the temporary folder."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
LATENTS = (".latent",)
CONVERTIBLE = "; `nodegraph models convert {path}` makes safetensors of it"
log = logging.getLogger(__name__)
Source = str | Path | bytes | Mapping[str, Json] | Workflow
Places = Mapping[str, Sequence[Path]]
"""Kind of folder -> the folders of that kind, in the order in which they are searched."""


@dataclass(frozen=True)
class Options:
    """How a runtime is set up.

    `models` and `input` are searched before the folders `models` and `input` of the working directory, the user's own
    models and what is bundled; `folders` are the folders of models by kind, all of them, where those are known already,
    as `configured` finds them. `data` keeps results from run to run (None: the user's cache folder). `device` and
    `dtype` (`fp32`, `fp16`, `bf16`) suit the machine where they are None. `memory` is the budget of results kept in RAM
    (None: half of it), `network_memory` that of networks on the device (None: a share of it), `disk` that of results
    kept in `data`, in bytes. With `compile` torch's compiler makes networks faster after a first run that takes longer.
    `check_mutation` finds nodes that change their inputs; `strict` makes a failure of whatever a node warns of.
    `explain` remembers what nodes were made of, so that plans can tell why they run again. Without `plugins` none of
    other distributions are loaded; `skip_plugins` names those to leave out, a mapping tells why.
    """

    models: tuple[Path, ...] = ()
    folders: Places | None = None
    input: tuple[Path, ...] = ()
    output: Path = Path("output")
    data: Path | None = None
    device: str | None = None
    dtype: str | None = None
    cache: bool = True
    metadata: bool = True
    memory: int | None = None
    network_memory: int | None = None
    compile: bool = False
    disk: int = 4 * 2**30
    check_mutation: bool = False
    strict: bool = False
    explain: bool = True
    plugins: bool = True
    skip_plugins: Collection[str] = ()

    @classmethod
    def configured(cls, **options: Any) -> Options:
        """Return options whose models are also those of NODEGRAPH_MODELS and of the user's `nodegraph.toml`.

        Raises ConfigError or PathsFileError, which are NodegraphErrors, for a file that says what makes no sense.
        """
        found = collect(tuple(map(Path, options.get("models", ()))))
        inputs = (*options.get("input", ()), *found.input)
        return cls(**{"folders": found.folders, **options, "input": inputs})

    @property
    def loading(self) -> tuple[object, ...]:
        """What decides which plugins there are."""
        return (self.plugins, self.skip_plugins)

    @property
    def keeping(self) -> tuple[object, ...]:
        """What decides where results are kept; device and precision are part of their names."""
        return (self.data, self.cache, self.memory, self.disk)


class Runtime:
    """Everything that checks and runs workflows; what it is made of is made when it is first used."""

    def __init__(
        self,
        options: Options | None = None,
        *,
        after: Runtime | None = None,
        importing: Callable[[str], None] | None = None,
    ) -> None:
        """Take over the plugins of an earlier runtime, and its results, where those are found in the same way.

        `importing` is told the name of each plugin before it is imported.
        """
        self.options = options or Options()
        self._importing = importing
        self._settling = Lock()
        if after is not None:
            if after.options.loading == self.options.loading:
                self.plugins = after.plugins
            if after.options.keeping == self.options.keeping:
                self._cache = after._cache

    @cached_property
    def plugins(self) -> Plugins:
        """Return the plugins, the built-in ones first; samplers, schedulers and families come with them."""
        calm_threads()
        plugins = load_plugins(
            builtin=["nodegraph.nodes"],
            specs=SPECS,
            entry_points=self.options.plugins,
            skip=self.options.skip_plugins,
            importing=self._importing,
        )
        on_error = partial(_quarantine, plugins)
        diffusion.activate(diffusion.collect(plugins.manager, on_error=on_error))
        return plugins

    @property
    def registry(self) -> Registry:
        """Return the node types."""
        return self.plugins.registry

    @cached_property
    def folders(self) -> Folders:
        """Return the folders that hold models, inputs and outputs."""
        options = self.options
        inputs = (*options.input, Path("input"), resources.workflows())
        roots = model_folders(options.models) if options.folders is None else dict(options.folders)
        roots["vae"] = (*roots.get("vae", ()), *roots.get("vae_approx", ()))  # a tiny autoencoder is one too
        roots |= {"input": inputs, "output": (options.output,), "temp": (self.data / "temp",)}
        extensions = {kind.name: kind.extensions for kind in KINDS.values()} | {"input": (*PICTURES, *LATENTS)}
        bundles = {kind.name: kind.bundle for kind in KINDS.values() if kind.bundle is not None}
        return Folders(roots, extensions, bundles, dict.fromkeys(PICKLED, CONVERTIBLE))

    @cached_property
    def data(self) -> Path:
        """Return the folder of what is kept from run to run."""
        return self.options.data or user_cache()

    @cached_property
    def executor(self) -> Executor:
        """Return the executor, with its cache and with what it knows of earlier runs."""
        from nodegraph.engine.executor import Executor
        from nodegraph.engine.explain import History

        remove_old(self.data / "temp", PREVIEWS_STAY)
        history = History() if self.options.explain else History(limit=0)
        if self.options.cache and self.options.explain:
            history.load(self.data / HISTORY)
        return Executor(
            self._cache,
            settings=self._settings,
            folders=self.folders,
            check_mutation=self.options.check_mutation,
            strict=self.options.strict,
            history=history,
        )

    @cached_property
    def _cache(self) -> MutableMapping[str, Entry]:
        from nodegraph.diffusion.serialize import SERIALIZERS
        from nodegraph.engine.disk import DiskCache
        from nodegraph.engine.memory import MemoryCache

        options = self.options
        if not options.cache:
            return NoCache()
        disk = DiskCache(self.data / "results", budget=options.disk, serializers=SERIALIZERS)
        return MemoryCache(total_memory() // 2 if options.memory is None else options.memory, disk=disk)

    @cached_property
    def _settings(self) -> dict[str, Json]:
        from importlib.metadata import version

        options = self.options
        return {
            "device": options.device,
            "dtype": options.dtype,
            "compile": options.compile or None,  # told where it was asked for
            "metadata": options.metadata,
            "engine": f"nodegraph {version('nodegraph')}",
        }

    def load(self, source: Source) -> Workflow:
        """Load a workflow of our format or of ComfyUI's API format; raise `WorkflowError` for what is none."""
        return load_workflow(source, reader=self._read_other)

    def _read_other(self, document: Json) -> Workflow | None:
        return read_api(document, self.registry) if is_api(document) else None

    def check(
        self,
        source: Source,
        inputs: Mapping[str, Json] | None = None,
        *,
        folders: Places | None = None,
        targets: Collection[str] | None = None,
    ) -> Graph:
        """Return the graph of a workflow with its exposed inputs set; raise `WorkflowError` with every problem.

        `folders` stand in for the runtime's own of these kinds (`input`, say). That nothing is left to run, since nodes
        are muted, is a problem too, unless there are `targets` that a run is to reach instead.
        """
        workflow = self.load(source)
        graph = check(workflow, self.registry, folders=self._placed(folders), inputs=inputs)
        graph = graph if targets is not None else aimed(graph)
        return replace(graph, document=Forms(graph.document, self.registry))

    def plan(self, graph: Graph) -> Plan:
        """Return what a run would do, and why."""
        return self.placed(graph).plan(graph)

    def run(
        self,
        source: Source | Graph,
        *,
        inputs: Mapping[str, Json] | None = None,
        emit: Callable[[Event], None] | None = None,
        cancel: CancelToken | None = None,
        targets: Collection[str] | None = None,
        answers: Answers = NO_ANSWERS,
        folders: Places | None = None,
        history: History | None = None,
    ) -> Outputs:
        """Run a workflow; failures are told in the outputs' `result`, not raised.

        `targets` are the nodes to reach (None: the workflow's own; `KeyError` where one is not there). `answers` are
        what nodes that ask get, by node, or a function that asks at once. `folders` stand in, for this run, for the
        runtime's own of these kinds: `input`, `output`, `temp`. `history` stands in for what is known of earlier runs.
        """
        from nodegraph.engine.graph import Graph
        from nodegraph.recording import Recorder

        graph = source if isinstance(source, Graph) else self.check(source, inputs, folders=folders, targets=targets)
        recorder = Recorder(self.plugins, emit)
        executor = self.placed(graph, folders, history)
        plan = executor.plan(graph, targets)
        result = executor.run(plan, emit=recorder, cancel=cancel, answers=answers)
        self._remember()
        return recorder.outputs(result)

    def placed(self, graph: Graph, folders: Places | None = None, history: History | None = None) -> Executor:
        """Return an executor for a graph whose device and precision are settled; any thread may ask."""
        with self._settling:
            self._resolve_placement(graph)
            executor = self.executor
        if folders is None and history is None:
            return executor
        return executor.within(self._placed(folders), history)

    def _placed(self, places: Places | None) -> Folders:
        return self.folders if places is None else self.folders.placed(places)

    def _remember(self) -> None:
        """Keep what the nodes were made of, so that a later process can tell why they run again."""
        if not (self.options.cache and self.options.explain):
            return
        try:
            self.data.mkdir(parents=True, exist_ok=True)
            self.executor.history.save(self.data / HISTORY)
        except OSError as error:
            log.warning("%s cannot be written: %s", self.data / HISTORY, error.strerror)

    def _resolve_placement(self, graph: Graph) -> None:
        """Settle device and precision before the first network is asked for: results are named by them."""
        wanted = {name for node in graph.nodes.values() for name in node.spec.settings}
        if wanted & {"device", "dtype"}:
            from nodegraph.diffusion.memory import manager
            from nodegraph.diffusion.memory.compiling import keep_compiled
            from nodegraph.diffusion.record import placement
            from nodegraph.engine.memory import MemoryCache

            told = placement(self.options.device, self.options.dtype)
            self._settings.update(device=told["device"], dtype=told["dtype"])
            if isinstance(self._cache, MemoryCache):
                self._cache.gpu_budget = gpu_budget(told["device"])
            given, memory = self.options.network_memory, manager.active()
            memory.budgets[told["device"]] = network_budget(told["device"]) if given is None else given
            memory.compiled = self.options.compile
            if memory.compiled:
                keep_compiled(self.data / "compiled")


class Forms(Mapping[str, Json]):
    """A workflow in the forms that pictures carry: `workflow` is ours; `prompt`, made when asked for, is ComfyUI's."""

    def __init__(self, workflow: Mapping[str, Json], registry: Registry) -> None:
        self._workflow, self._registry = workflow, registry

    @cached_property
    def _forms(self) -> dict[str, Json]:
        try:
            api = write_api(load_workflow(self._workflow), self._registry)
        except WorkflowError:  # that format has no form for it
            return {"workflow": self._workflow}
        return {"workflow": self._workflow, "prompt": api}

    def __getitem__(self, name: str) -> Json:
        return self._workflow if name == "workflow" else self._forms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._forms)

    def __len__(self) -> int:
        return len(self._forms)


def run(source: Source, /, *, options: Options | None = None, **inputs: Json) -> Outputs:
    """Run a workflow and return what it gave: `run("workflow.json", prompt="a red circle", seed=1)`.

    The named arguments set inputs that the workflow exposes, or parameters as `**{"node.param": value}`. Raises
    `WorkflowError` for a workflow that cannot run and `NodeError` for a node that fails. Without options, models are
    looked for as `Options.configured` says.
    """
    global _last
    wanted = Options.configured() if options is None else options
    with _starting:
        if _last is None or _last.options != wanted:
            _last = Runtime(wanted, after=_last)
        runtime = _last
    outputs = runtime.run(source, inputs=inputs)
    outputs.result.check()
    return outputs


_last: Runtime | None = None
"""The runtime of the last `run`, whose models and results the next one finds."""
_starting = Lock()


def _quarantine(plugins: Plugins, name: str, error: Exception) -> None:
    plugins.quarantine(name, str(error), error)

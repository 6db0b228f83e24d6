"""Listens to a run for its caller: passes events on and gathers the files that sinks write."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pluggy

from nodegraph.diffusion.values import Image
from nodegraph.engine.events import Event, Output
from nodegraph.engine.plugins import Plugins
from nodegraph.engine.result import Result
from nodegraph.machine import peak_memory
from nodegraph.outputs import Outputs, Picture

log = logging.getLogger(__name__)


class Recorder:
    """Hears each event of a run; give it to the executor as `emit`."""

    def __init__(self, plugins: Plugins, emit: Callable[[Event], None] | None) -> None:
        self._emit = emit
        self._listeners = _listeners(plugins.manager)
        self.files: list[Path] = []
        self.pictures: list[Picture] = []

    def __call__(self, event: Event) -> None:
        """Gather what a sink wrote, and pass the event to plugins and to the caller."""
        if isinstance(event, Output):
            self._wrote(event)
        for name, listen in self._listeners.items():
            try:
                listen(event=event)
            except Exception:  # a plugin may raise anything; neither the run nor other listeners suffer from it
                log.exception("node_event of the plugin %s failed on %r", name, event)
        if self._emit is not None:
            self._emit(event)

    def outputs(self, result: Result) -> Outputs:
        """Return what the run gave."""
        return Outputs(result, tuple(self.pictures), tuple(self.files), peak_memory())

    def _wrote(self, event: Output) -> None:
        self.files.append(event.file)
        if isinstance(event.value, Image):  # its pixels are in the file; holding them would hold the whole batch
            origins = event.value.origins
            self.pictures.append(Picture(event.file, event.node or "", origins[0] if origins else None))


def _listeners(manager: pluggy.PluginManager) -> dict[str, Callable[..., object]]:
    """Return how to call each plugin's `node_event` alone."""
    plugins = {impl.plugin_name: impl.plugin for impl in manager.hook.node_event.get_hookimpls()}
    return {
        name: manager.subset_hook_caller("node_event", [other for other in plugins.values() if other is not plugin])
        for name, plugin in plugins.items()
    }

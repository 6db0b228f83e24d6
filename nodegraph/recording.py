"""Listens to a run for its caller: passes events on and gathers the files that sinks write."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pluggy

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
        self.written: list[Output] = []

    def __call__(self, event: Event) -> None:
        """Gather what a sink wrote, and pass the event to plugins and to the caller."""
        if isinstance(event, Output):
            self.written.append(event)
        for name, listen in self._listeners.items():
            try:
                listen(event=event)
            except Exception:  # a plugin may raise anything; neither the run nor other listeners suffer from it
                log.exception("node_event of the plugin %s failed on %r", name, event)
        if self._emit is not None:
            self._emit(event)

    def outputs(self, result: Result) -> Outputs:
        """Return what the run gave."""
        pictures = tuple(_picture(event) for event in self.written if event.value is not None)
        return Outputs(result, pictures, tuple(event.file for event in self.written), peak_memory())


def _listeners(manager: pluggy.PluginManager) -> dict[str, Callable[..., object]]:
    """Return how to call each plugin's `node_event` alone."""
    plugins = {impl.plugin_name: impl.plugin for impl in manager.hook.node_event.get_hookimpls()}
    return {
        name: manager.subset_hook_caller("node_event", [other for other in plugins.values() if other is not plugin])
        for name, plugin in plugins.items()
    }


def _picture(event: Output) -> Picture:
    return Picture(event.file, event.value, event.node or "")

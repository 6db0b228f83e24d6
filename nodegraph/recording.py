"""Listens to a run for its caller: passes events on and gathers the files that sinks write."""

from __future__ import annotations

import logging
from collections.abc import Callable

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
        self._hook = plugins.manager.hook.node_event
        self._hooked = bool(self._hook.get_hookimpls())
        self.written: list[Output] = []

    def __call__(self, event: Event) -> None:
        """Gather what a sink wrote, and pass the event to plugins and to the caller."""
        if isinstance(event, Output):
            self.written.append(event)
        if self._hooked:
            try:
                self._hook(event=event)
            except Exception:  # a plugin may raise anything, and the run is not its business
                log.exception("a plugin's node_event failed")
        if self._emit is not None:
            self._emit(event)

    def outputs(self, result: Result) -> Outputs:
        """Return what the run gave."""
        pictures = tuple(_picture(event) for event in self.written if event.value is not None)
        return Outputs(result, pictures, tuple(event.file for event in self.written), peak_memory())


def _picture(event: Output) -> Picture:
    return Picture(event.file, event.value, event.node or "")

"""What a server tells of a job's nodes, as the events that the displays of a run take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.engine import events

if TYPE_CHECKING:
    from nodegraph.remote import Update


def engine_event(update: Update) -> events.Event | None:
    """Return the event that an update tells of; None for what is no event of a node."""
    data = update.data
    node, type_, time = str(data.get("node", "")), str(data.get("type", "")), update.time
    message = str(data.get("message", ""))
    match update.type:
        case "node.running":
            return events.Running(node, type_, time=time)
        case "node.progress":
            return events.Progress(node, data.get("value", 0), data.get("total", 0), message, time=time)
        case "node.cached":
            return events.Cached(node, type_, time=time)
        case "node.finished":
            return events.Finished(node, float(data.get("seconds", 0)), time=time)
        case "node.warned":
            return events.Warned(node, message, time=time)
        case "node.failed":
            return events.Failed(node, message, time=time)
        case "node.skipped":
            return events.Skipped(node, message, time=time)
        case "node.waiting":
            return events.Waiting(node, message, time=time)
        case "node.cancelled":
            return events.Cancelled(node, time=time)
    return None

"""What tests of runs share: workflows that take a while or draw, and where the editor shows how they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.editor.driver import Editor
    from tests.faults.harness import Server

Json = Any


def graph(**nodes: Json) -> dict[str, Json]:
    """Return a workflow of nodes beside each other."""
    view = {id: {"x": 40 + 330 * place, "y": 60} for place, id in enumerate(nodes)}
    return {"format": 1, "nodes": nodes, "view": view}


def slow(seconds: float = 4.0, steps: int = 40) -> dict[str, Json]:
    """Return a workflow that runs for a while and tells how far it is."""
    return graph(
        wait={"type": "faults.Sleep", "params": {"seconds": seconds, "steps": steps, "value": "slept"}},
        save={"type": "faults.Save", "params": {"filename_prefix": "slow"}, "links": {"text": "wait.out"}},
    )


def picture(color: int = 90, size: int = 64, prefix: str = "plain") -> dict[str, Json]:
    """Return a workflow that writes a picture at once."""
    return graph(
        text={"type": "faults.Text", "params": {"text": "words", "seed": 7}},
        save={
            "type": "faults.Save",
            "params": {"color": color, "size": size, "filename_prefix": prefix},
            "links": {"text": "text.out"},
        },
    )


def run_state(editor: Editor) -> str:
    """Return what the run button tells."""
    return editor.page.locator(".run-bar").get_attribute("data-state") or ""


def show(editor: Editor, panel: str) -> None:
    """Show a panel."""
    editor.page.locator(f'.rail-button[data-command="panel.{panel}"]').click()
    editor.panel(panel).wait_for(state="visible")


def submitted(editor: Editor) -> str:
    """Run the open workflow; return the id of its job without waiting for its end."""
    before = {job["id"] for job in editor.jobs()}
    editor.press("Mod+Enter")
    found: str = editor.wait_until(
        lambda: next((job["id"] for job in editor.jobs() if job["id"] not in before), None), "a job is queued"
    )
    return found


def jobs_named(editor: Editor, name: str) -> list[dict[str, Any]]:
    """Return the server's jobs of that name, the newest first."""
    return [job for job in editor.jobs() if job["name"] == name]


def leave_nothing(server: Server) -> None:
    """Let the queue go on, and cancel what is in it."""
    server.ask("POST", "/queue/resume", {})
    for job in server.ask("GET", "/jobs?limit=100&state=queued&state=running&state=waiting")["items"]:
        server.ask("POST", f"/jobs/{job['id']}/cancel")

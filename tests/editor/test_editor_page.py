"""The page comes up on a real server, opens a workflow by its address, and runs it."""

from __future__ import annotations

from collections.abc import Callable

from tests.editor.driver import Editor

SUM = {
    "format": 1,
    "nodes": {
        "one": {"type": "faults.Add", "params": {"a": 1}},
        "shown": {"type": "faults.Add", "links": {"a": "one.out"}},
    },
    "outputs": {"sum": "shown.out"},
    "view": {"one": {"x": 0, "y": 0}, "shown": {"x": 320, "y": 0}},
}


def test_the_page_starts_without_a_complaint(editor: Editor) -> None:
    editor.start()
    assert editor.page.title()
    assert editor.unexpected() == []


def test_a_workflow_is_opened_by_its_address_and_run(editor: Editor) -> None:
    editor.open(SUM)
    assert set(editor.nodes()) == {"one", "shown"}
    job = editor.run()
    assert job["state"] == "done"
    assert job["values"] == {"sum": 3}


def test_what_is_opened_and_closed_again_leaves_nothing_behind(editor: Editor) -> None:
    editor.open(SUM)
    session = editor.page.context.new_cdp_session(editor.page)
    session.send("Performance.enable")

    def left() -> tuple[float, float]:
        """Return how many listeners and nodes are there when what is not used any more was collected."""
        for _ in range(2):
            session.send("HeapProfiler.collectGarbage")
        found = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return found["JSEventListeners"], found["Nodes"]

    def tabs(count: int) -> Callable[[], bool]:
        return lambda: len(editor.state()["tabs"]) == count

    def use() -> None:
        editor.press("Mod+A", "Mod+C")
        for count in range(2, 5):
            editor.press("Mod+Alt+T", "Mod+V")
            editor.wait_until(tabs(count))
        for count in range(3, 0, -1):
            editor.press("Mod+Alt+W")
            editor.page.locator('[data-choice="close"]').click()
            editor.wait_until(tabs(count))
        for key in ("Mod+F", "Shift+A", "?", "Mod+Shift+P", "Mod+O"):
            editor.press(key, "Escape")
        for command in ("panel.history", "panel.help", "panel.problems"):
            editor.page.locator(f'.rail-button[data-command="{command}"]').click()
        editor.press("Mod+A", "Delete", "Mod+Z")

    use()
    use()
    before = left()
    for _ in range(3):
        use()
    after = left()
    assert after[0] - before[0] < 10
    assert after[1] - before[1] < 40

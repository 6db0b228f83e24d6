"""The page comes up on a real server, opens a workflow by its address, and runs it."""

from __future__ import annotations

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

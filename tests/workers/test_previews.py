"""Previews beside the work: what comes too late is not shown, and leaves nothing behind."""

from __future__ import annotations

import threading
from typing import Any

from nodegraph.workers.hooks import Encoded
from nodegraph.workers.previews import Previews
from tests.workers.test_channel import Ends


def test_a_picture_that_is_ready_after_its_node_has_ended_is_not_sent() -> None:
    ends, begun, go = Ends(), threading.Event(), threading.Event()

    def slow(value: Any) -> Encoded:
        begun.set()
        assert go.wait(20)
        return Encoded("image/png", 1, 1, b"picture")

    previews = Previews(ends.channel, slow)
    previews.on = True
    previews.show("job", "early", 1)
    assert begun.wait(20)
    previews.forget("job", "early")
    ends.channel.settle(("preview", "job", "early"), drop=True)
    go.set()
    previews.show("job", "late", 2)
    header, payload = ends.frame()
    assert (header["node"], payload) == ("late", b"picture")
    assert list(ends.channel._sent) == [("preview", "job", "late")]

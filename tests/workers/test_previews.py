"""Previews beside the work: what comes too late is not shown, and leaves nothing behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from nodegraph.diffusion.values import Latent, LatentFormat, LatentPreview
from nodegraph.workers.hooks import Encoded
from nodegraph.workers.previews import Previews, encode, latent_rgb
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


def test_a_latent_is_shown_in_the_colours_of_its_format() -> None:
    rows = ((1.0, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, -0.25))
    format = LatentFormat(channels=2, scale=2.0, shift=1.0, colors=rows)
    samples = torch.stack([torch.full((1, 1), 1.25), torch.full((1, 1), 0.5)])  # seen as 0.5 and -1
    assert latent_rgb(samples, format).flatten().tolist() == pytest.approx([0.75, 0.25, 0.375])
    spread = latent_rgb(samples, LatentFormat(channels=2))
    assert spread.shape == (1, 1, 3)
    preview = encode(LatentPreview(samples[None], format=format))
    assert preview is not None
    assert preview.data != getattr(encode(Latent(samples[None])), "data", None)

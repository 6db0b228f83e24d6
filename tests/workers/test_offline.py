"""Children open no connection and look up no name."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.server.host import Host
from nodegraph.server.settings import Settings
from tests.workers.conftest import started

WATCH = """
import os, sys

def audit(event, args):
    if event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open(os.environ["NODEGRAPH_TEST_SOCKETS"], "a") as file:
            file.write(f"{event} {args[1:]}\\n")

sys.addaudithook(audit)
"""


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Watch the sockets of processes that are started from now on; return the file that tells of them."""
    (tmp_path / "watch").mkdir()
    (tmp_path / "watch" / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "watch"))
    monkeypatch.setenv("NODEGRAPH_TEST_SOCKETS", str(tmp_path / "sockets"))
    return tmp_path / "sockets"


TEXT_TO_IMAGE = {
    "model": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": "shapes.safetensors"}},
    "prompt": {"type": "CLIPTextEncode", "params": {"text": "a red circle"}, "links": {"clip": "model.clip"}},
    "canvas": {"type": "EmptyLatentImage", "params": {"width": 64, "height": 64, "batch_size": 1}},
    "sample": {
        "type": "KSampler",
        "params": {"seed": 1, "steps": 3, "cfg": 3.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0},
        "links": {
            "model": "model.model",
            "positive": "prompt.out",
            "negative": "prompt.out",
            "latent_image": "canvas.out",
        },
    },
    "decode": {"type": "VAEDecode", "links": {"samples": "sample.out", "vae": "model.vae"}},
    "save": {"type": "SaveImage", "links": {"images": "decode.out"}},
}


async def test_a_picture_is_drawn_without_a_connection(settings: Settings, sockets: Path, tmp_path: Path) -> None:
    async with started(settings, tmp_path / "stage") as worker:
        result = await worker.run(TEXT_TO_IMAGE, previews=True)
        assert result["state"] == "done", result["failure"]
        assert worker.tells("preview")
    assert not sockets.exists(), sockets.read_text()


async def test_the_host_needs_no_connection(settings: Settings, sockets: Path) -> None:
    host = Host(settings, lambda: None)
    await host.start()
    try:
        assert (await host.check({"format": 1, "nodes": TEXT_TO_IMAGE})).items[0].ok
        assert await host.model("checkpoints", "shapes.safetensors")
    finally:
        await host.stop()
    assert not sockets.exists(), sockets.read_text()


async def test_the_watch_sees_a_connection(settings: Settings, sockets: Path, tmp_path: Path) -> None:
    async with started(settings, tmp_path / "stage") as worker:
        await worker.run({"call": {"type": "faults.Connect"}})
    assert "socket.connect" in sockets.read_text()

"""A served job finds models where the command line and the configuration say, as `run` does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import save_file

from nodegraph.cli.arguments import build_parser
from nodegraph.cli.serve import settings_of
from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.upscaling import CompactConfig

WORKFLOW = {
    "format": 1,
    "nodes": {
        "picture": {"type": "EmptyImage", "params": {"width": 8, "height": 8}},
        "model": {"type": "UpscaleModelLoader", "params": {"model_name": "mine/tiny.safetensors"}},
        "larger": {"type": "ImageUpscaleWithModel", "links": {"image": "picture.out", "upscale_model": "model.out"}},
        "save": {"type": "SaveImage", "links": {"images": "larger.out"}},
    },
}


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """Return a configuration that names ComfyUI's list of folders, which names one with an upscaler."""
    folder = tmp_path / "webui" / "ESRGAN" / "mine"
    folder.mkdir(parents=True)
    network = Compact(CompactConfig(channels=4, convolutions=1, scale=2))
    save_file(network.state_dict(), folder / "tiny.safetensors")
    (tmp_path / "extra.yaml").write_text("a111:\n  base_path: webui\n  upscale_models: |\n    none\n    ESRGAN\n")
    path = tmp_path / "nodegraph.toml"
    path.write_text("extra_model_paths = 'extra.yaml'")
    return path


@contextmanager
def serving(data: Path, *options: str) -> Iterator[None]:
    """Run a server with one worker while the block lasts."""
    command = [sys.executable, "-m", "nodegraph", "serve", "--data", str(data), "--port", "0", "--devices", "cpu"]
    with subprocess.Popen([*command, "--no-preload", *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert re.search(r"http://\S+", process.stdout.readline())
            yield
        finally:
            process.terminate()


def test_a_job_uses_a_model_of_comfyuis_folders(tmp_path: Path, configured: Path) -> None:
    workflow, data = tmp_path / "w.json", tmp_path / "data"
    workflow.write_text(json.dumps(WORKFLOW))
    with serving(data, "--config", str(configured)):
        command = [sys.executable, "-m", "nodegraph", "submit", str(workflow), "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    from PIL import Image

    with Image.open(done.stdout.strip()) as picture:
        assert picture.size == (16, 16)


def test_the_settings_hold_every_folder_as_it_was_found(tmp_path: Path, configured: Path) -> None:
    (tmp_path / "more").mkdir()
    options = ("serve", "--config", str(configured), "--models", str(tmp_path / "more"), "--data", str(tmp_path))
    settings = settings_of(build_parser().parse_args(options), None)
    assert settings.models == (tmp_path / "more",)
    assert settings.folders is not None
    assert settings.folders["upscale_models"][:3] == (
        tmp_path / "more" / "upscale_models",
        tmp_path / "webui" / "none",
        tmp_path / "webui" / "ESRGAN",
    )
    assert all(path.is_absolute() for paths in settings.folders.values() for path in paths)

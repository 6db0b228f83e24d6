"""`nodegraph models` and the options that tell every command where models are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nodegraph.cli import main
from nodegraph.collection.config import own_config
from tests.collection.conftest import BUNDLED, FakeHub, Place, header_of

EMBEDDING = {"emb_params": (3, 768)}
LORA = {"lora_unet_x_attn2_to_k.lora_down.weight": (4, 768), "lora_unet_x_attn2_to_k.lora_up.weight": (320, 4)}
HEARS = """
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv[0] = "nodegraph"
runpy.run_module("nodegraph", run_name="__main__")
"""


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs a command as a user of its own, in an empty folder."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "APPDATA", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def command(*arguments: object) -> Answer:
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capsys.readouterr())

    return command


@pytest.fixture
def models(tmp_path: Path, place: Place) -> Path:
    """Return a folder of models: a LoRA, an embedding in the wrong place, a damaged file and a pickled one."""
    folder = tmp_path / "models"
    place(folder / "loras" / "style.safetensors", LORA)
    place(folder / "loras" / "word.safetensors", EMBEDDING, "F32")
    (folder / "vae").mkdir()
    (folder / "vae" / "page.safetensors").write_text("<html>")
    (folder / "vae" / "old.ckpt").write_bytes(b"PK\x03\x04" + bytes(100))
    return folder


def rows(answer: Answer) -> dict[str, list[str]]:
    return {line.split("\t")[1]: line.split("\t") for line in answer.out.splitlines()}


@pytest.mark.parametrize("words", [["models", "--models"], ["models", "list", "--models"]])
def test_a_collection_is_listed_in_columns(run: Run, models: Path, words: list[str]) -> None:
    answer = run(*words, models)
    found = rows(answer)
    assert answer.code == 0
    assert found["style.safetensors"][:5] == ["loras", "style.safetensors", "LoRA", "Stable Diffusion 1.x", "fp16"]
    assert found["style.safetensors"][5:] == ["8.72 KiB", "-", "1 layer (2 keys), rank 4"]
    assert found["word.safetensors"][-1] == "3 vectors; belongs in embeddings"
    assert found["page.safetensors"][2] == "damaged"
    assert "a web page: the download went wrong" in found["page.safetensors"][-1]
    assert found["old.ckpt"][2] == "pickled"
    assert f"'nodegraph models convert {models / 'vae' / 'old.ckpt'}' makes safetensors" in found["old.ckpt"][-1]
    assert "shapes.safetensors" in found
    assert "; 1 damaged" in answer.err


def test_people_get_the_files_under_their_kinds(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    lines = run("models", "--models", models, "--kind", "loras", "--kind", "vae", "--hash").out.splitlines()
    sha256 = hashlib.sha256((models / "loras" / "style.safetensors").read_bytes()).hexdigest()
    assert any(re.match(r"  page\.safetensors +damaged, 6 B, ", line) for line in lines)
    told = f"LoRA for Stable Diffusion 1.x, fp16, 8.72 KiB, {sha256[:10]}"
    assert any(re.fullmatch(rf"  style\.safetensors +{re.escape(told)}", line) for line in lines)
    assert [line for line in lines if not line.startswith(" ")] == ["vae", "loras"]
    assert "      belongs in embeddings" in lines


def test_kinds_are_chosen_by_any_of_their_names(run: Run, models: Path) -> None:
    found = set(rows(run("models", "--models", models, "--kind", "loras")))
    assert found == {"style.safetensors", "word.safetensors", *BUNDLED}
    assert run("models", "list", "--models", models, "--kind", "unet").out == ""
    answer = run("models", "--kind", "lora")
    assert answer.code == 2
    assert "there is no kind 'lora' (did you mean 'loras'?)" in answer.err


def test_where_nothing_is_found_the_folders_are_told(run: Run, models: Path) -> None:
    answer = run("models", "--models", models, "--kind", "gligen")
    assert (answer.code, answer.out) == (0, "")
    assert "no files found; searched were" in answer.err
    assert str(models / "gligen") in answer.err


def test_a_root_that_is_gone_is_told(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NODEGRAPH_MODELS", str(tmp_path / "unmounted"))
    assert f"{tmp_path / 'unmounted'}: no such folder, though it is named" in run("models").err


def test_listing_imports_no_torch(run: Run, models: Path) -> None:
    code = "import sys; from nodegraph.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "models", "--models", str(models)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_hashes_are_worked_out_when_asked_for_and_known_from_then_on(run: Run, models: Path) -> None:
    wanted = hashlib.sha256((models / "loras" / "style.safetensors").read_bytes()).hexdigest()
    ask = ("models", "--models", models, "--kind", "loras")
    assert rows(run(*ask))["style.safetensors"][6] == "-"
    assert rows(run(*ask, "--hash"))["style.safetensors"][6] == wanted
    assert rows(run(*ask))["style.safetensors"][6] == wanted


def test_json_tells_everything(run: Run, models: Path) -> None:
    told = run("models", "--models", models, "--kind", "loras", "--json").json
    style, word = (told for told in told["models"] if told["path"].startswith(str(models)))
    assert style["path"] == str(models / "loras" / "style.safetensors")
    assert style["origin"] == "--models"
    assert style["identity"]["family"] == "Stable Diffusion 1.x"
    assert (style["identity"]["loads"], style["misplaced"], word["misplaced"]) == (True, False, True)
    assert told["config"] is None
    first = told["folders"][0]
    assert first == {"kind": "loras", "path": str(models / "loras"), "origin": "--models", "there": True}


def test_every_command_takes_the_options_alike(run: Run, models: Path, tmp_path: Path) -> None:
    workflow = tmp_path / "w.json"
    nodes = {"load": {"type": "UpscaleModelLoader", "params": {"model_name": "mine.safetensors"}}}
    workflow.write_text(json.dumps({"format": 1, "nodes": nodes}))
    (models / "upscale_models").mkdir()
    (models / "upscale_models" / "mine.safetensors").touch()
    extra, config = tmp_path / "e.yaml", tmp_path / "c.toml"

    def upscalers(*options: object) -> int:
        found = re.search(r"(\d+) upscale models", run("doctor", *options).out)
        return int(found[1]) if found else 0

    extra.write_text(f"a:\n  upscale_models: {models / 'upscale_models'}\n")
    config.write_text(f"models = '{models}'")
    for options in (("--models", models), ("--extra-model-paths", extra), ("--config", config)):
        assert "mine.safetensors" in run("nodes", "UpscaleModelLoader", *options).out, options
        assert "mine.safetensors" in run("schema", "UpscaleModelLoader", *options).out, options
        assert "mine.safetensors" not in run("check", workflow, *options).err, options
        assert upscalers(*options) == upscalers() + 1, options
    assert "mine.safetensors" in run("check", workflow).err


def test_the_variable_and_the_users_own_configuration_are_heeded(
    run: Run, models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "style.safetensors" not in run("models").out
    own_config().parent.mkdir(parents=True, exist_ok=True)
    own_config().write_text(f"[folders]\nloras = '{models / 'loras'}'")
    assert run("models", "--kind", "loras", "--json").json["models"][0]["origin"] == str(own_config())
    monkeypatch.setenv("NODEGRAPH_MODELS", os.pathsep.join([str(tmp_path), str(models)]))
    assert run("models", "--kind", "loras", "--json").json["models"][0]["origin"] == "NODEGRAPH_MODELS"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--models", "nowhere"), "--models: nowhere: no such folder"),
        (("--config", "none.toml"), "none.toml: cannot be read: No such file"),
        (("--config", "bad.toml"), "line 1: unknown key 'modles' (did you mean 'models'?)"),
        (("--extra-model-paths", "none.yaml"), "none.yaml: cannot be read"),
    ],
)
@pytest.mark.parametrize("command", [("models",), ("nodes",), ("serve",), ("check", "w.json"), ("info", "x")])
def test_what_is_wrong_with_the_options_is_wrong_usage(
    run: Run, command: tuple[str, ...], options: tuple[str, str], words: str
) -> None:
    Path("bad.toml").write_text("modles = 'a'")
    answer = run(*command, *options)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err


def test_a_file_is_converted(run: Run, tmp_path: Path) -> None:
    import torch

    source = tmp_path / "cat.pt"
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.ones(2, 768)}, "callbacks": [1]}, source)
    (tmp_path / "out").mkdir()
    answer = run("models", "convert", source, "-o", tmp_path / "out", "--dtype", "fp16")
    assert (answer.code, answer.out) == (0, f"{tmp_path / 'out' / 'cat.safetensors'}\n")
    assert (
        "1 tensor, 3.08 KiB; embedding for Stable Diffusion 1.x, fp16; left out as no weights: callbacks" in answer.err
    )
    answer = run("models", "convert", source, "-o", tmp_path / "out")
    assert answer.code == 1
    assert "is there already; --output names another file, --force writes over it" in answer.err


def test_what_cannot_be_converted_is_one_error(run: Run, models: Path) -> None:
    for name in ("nothing.ckpt", "page.safetensors"):
        answer = run("models", "convert", models / "vae" / name)
        assert (answer.code, answer.out) == (1, "")
        assert len(answer.err.splitlines()) == 1


def lora() -> bytes:
    head, data = header_of(LORA)
    return head + bytes(data)


def test_a_file_is_pulled_and_found(run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    data = hub.put("ann/styles/style.safetensors", lora())
    answer = run("models", "pull", "hf:ann/styles/style.safetensors")
    path = Path(answer.out.strip())
    assert answer.code == 0
    assert path.is_relative_to(tmp_path / "home")
    assert path.read_bytes() == data
    assert f"LoRA for Stable Diffusion 1.x, fp16, 8.72 KiB; sha256 {hashlib.sha256(data).hexdigest()}" in answer.err
    assert rows(run("models", "--kind", "loras"))["style.safetensors"][6] == hashlib.sha256(data).hexdigest()
    assert "it was here already" in run("models", "pull", "hf:ann/styles/style.safetensors").err
    told = run("models", "pull", "hf:ann/styles/style.safetensors", "--kind", "vae", "--json")
    assert (told.json["kind"], told.json["fetched"]) == ("vae", True)
    assert "it would belong in loras" in told.err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("hf:ann/styles",), 2, "expected hf:OWNER/REPO/FILE"),
        (("hf:ann/styles/x.safetensors", "--kind", "lora"), 2, "did you mean 'loras'?"),
        (("hf:ann/styles/style.safetensors", "--name", "../x.safetensors"), 2, "--name: '../x.safetensors' is not"),
        (("hf:ann/styles/style.safetensors", "--name", "x.ckpt"), 1, "expected a name that ends in .safetensors"),
        (("hf:ann/styles/none.safetensors",), 1, "has no file 'none.safetensors'"),
    ],
)
def test_what_cannot_be_pulled_is_one_error(
    run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, told: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    hub.put("ann/styles/style.safetensors", lora())
    answer = run("models", "pull", *words)
    assert (answer.code, answer.out) == (code, "")
    assert told in answer.err


def test_nothing_is_pulled_where_the_hub_may_not_be_asked(
    run: Run, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert "HF_HUB_OFFLINE is set" in run("models", "pull", "hf:ann/styles/style.safetensors").err
    assert hub.asked == []


@pytest.mark.skipif(os.name != "posix", reason="how a process is interrupted")
def test_a_pull_that_is_stopped_goes_on_the_next_time(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    head, data = header_of({**LORA, "lora_unet_y.lora_down.weight": (4, 500_000)})
    whole = hub.put("ann/styles/style.safetensors", head + bytes(data))
    environment = {**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-m", "nodegraph", "models", "pull", "hf:ann/styles/style.safetensors"]
    hub.stops = len(whole) // 2
    heard = [command[0], "-c", HEARS, *command[3:]]  # where tests run in the background, SIGINT may be ignored
    process = subprocess.Popen(heard, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert hub.stopped.wait(60)
    process.send_signal(2)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode().strip().endswith("cancelled")
    (part,) = (tmp_path / "home").rglob("*.part")
    assert 0 < part.stat().st_size <= len(whole) // 2
    before = part.stat().st_size
    hub.stops = 0
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert Path(done.stdout.strip()).read_bytes() == whole
    assert hub.fetched[-1] == f"bytes={before}-"
    assert not part.exists()
    shutil.rmtree(tmp_path / "home")

"""`nodegraph verify` on the command line: what it writes, and its exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verification.pictures import edit

Command = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]


@pytest.fixture
def picture(command: Command, write: Write) -> Path:
    """Return a picture that a run has saved."""
    nodes = {
        "noise": {"type": "ImageAddNoise", "params": {"seed": 3}, "links": {"image": "plain.out"}},
        "plain": {"type": "EmptyImage", "params": {"width": 8, "height": 6}},
        "save": {"type": "SaveImage", "links": {"images": "noise.out"}},
    }
    code, out, _ = command("run", write(nodes), "--set", "noise.seed=4")
    assert code == 0
    return Path(out.strip())


def test_the_same_picture_is_told_and_the_code_is_0(command: Command, picture: Path) -> None:
    code, out, _ = command("verify", picture)
    assert (code, out) == (0, f"{picture}: same: every pixel of 8 x 6\n")
    assert [path.name for path in Path("output").iterdir()] == [picture.name]


def test_what_differs_is_told_and_the_code_is_1(command: Command, picture: Path) -> None:
    edit(picture, lambda texts: texts["nodegraph_record"]["libraries"].update(torch="2.0.0"), pixel=True)
    code, out, _ = command("verify", picture, "--keep", "kept")
    first, *rest = out.splitlines()
    assert code == 1
    assert first.startswith(f"{picture}: differs: 1 of 48 pixels (2.08 %) differ, by at most ")
    assert first.endswith("within 1 x 1 at (2, 3)")
    assert rest[0].startswith("  torch: was 2.0.0, now ")
    assert rest[1:] == [
        f"  kept: {Path('kept') / 'ComfyUI_00001_again.png'}",
        f"  kept: {Path('kept') / 'ComfyUI_00001_difference.png'}",
    ]
    code, out, _ = command("verify", picture, "--tolerance", "255")
    assert code == 0
    assert "same within the tolerance: 1 of 48 pixels" in out


def test_strict_lets_the_record_decide_too(command: Command, picture: Path) -> None:
    edit(picture, lambda texts: texts["nodegraph_record"]["libraries"].update(torch="2.0.0"))
    assert command("verify", picture)[0] == 0
    code, out, _ = command("verify", picture, "--strict")
    assert code == 1
    assert out.splitlines()[0] == f"{picture}: differs: every pixel of 8 x 6 is the same, but not what made it"


def test_what_cannot_be_verified_is_told_and_the_code_is_2(command: Command, picture: Path) -> None:
    bare = shutil.copyfile(picture, picture.with_name("bare.png"))
    edit(bare, lambda texts: texts.clear())
    code, out, _ = command("verify", picture, bare, "nowhere.png")
    assert code == 2
    assert f"{bare}: cannot be verified: it carries no workflow" in out
    assert "nowhere.png: cannot be verified: no such file\n" in out
    assert f"{picture}: same" in out


def test_every_problem_of_a_workflow_stands_on_a_line(command: Command, picture: Path) -> None:
    edit(picture, lambda texts: texts["nodegraph"]["nodes"]["plain"]["params"].update(width=-1, height="x"))
    code, out, _ = command("verify", picture)
    assert code == 2
    assert len([line for line in out.splitlines() if line.startswith("  plain.params.")]) == 2


def test_json_tells_all(command: Command, picture: Path) -> None:
    code, out, _ = command("verify", picture, "--json")
    (told,) = json.loads(out)
    assert code == 0
    assert (told["picture"], told["verdict"], told["node"], told["index"]) == (str(picture), "same", "save", 0)
    assert told["pixels"]["differing"] == 0
    assert told["differences"] == []


def test_what_goes_wrong_is_no_difference(command: Command, picture: Path) -> None:
    Path("taken").write_text("")
    edit(picture, lambda texts: None, pixel=True)
    code, _, err = command("verify", picture, "--keep", "taken/below")
    assert code == 2
    assert "taken" in err


def test_wrong_usage_is_told(command: Command, picture: Path) -> None:
    code, _, err = command("verify", picture, "--tolerance", "many")
    assert code == 2
    assert "expected a whole number from 0 to 255" in err
    code, _, err = command("verify", picture, "--device", "abacus")
    assert code == 2
    assert "--device: the device 'abacus' cannot be used" in err


def test_answers_are_given_again(command: Command, write: Write) -> None:
    nodes = {
        "plain": {"type": "EmptyImage", "params": {"width": 4, "height": 4}},
        "gate": {"type": "Gate", "links": {"value": "plain.out"}},
        "save": {"type": "SaveImage", "links": {"images": "gate.out"}},
    }
    _, out, _ = command("run", write(nodes), "--answer", "gate=go on")
    saved = next(line for line in out.splitlines() if "ComfyUI" in line)
    code, out, _ = command("verify", saved)
    assert code == 2
    assert "gate asks: Go on?" in out
    assert command("verify", saved, "--answer", "gate=go on")[0] == 0


def test_models_of_another_folder_are_used(command: Command, write: Write, tiny_models: Path, tmp_path: Path) -> None:
    nodes = {
        "model": {"type": "CheckpointLoaderSimple", "params": {"ckpt_name": "tiny.safetensors"}},
        "empty": {"type": "EmptyLatentImage", "params": {"width": 16, "height": 16}},
        "decode": {"type": "VAEDecode", "links": {"samples": "empty.out", "vae": "model.vae"}},
        "save": {"type": "SaveImage", "links": {"images": "decode.out"}},
    }
    _, saved, _ = command("run", write(nodes), "--models", tiny_models)
    code, out, _ = command("verify", saved.strip())
    assert code == 2
    assert "checkpoints/tiny.safetensors (sha256 " in out
    other = tmp_path / "other" / "checkpoints"
    other.mkdir(parents=True)
    shutil.copyfile(tiny_models / "checkpoints" / "tiny.safetensors", other / "renamed.safetensors")
    code, out, err = command("verify", saved.strip(), "--models", other.parent)
    assert code == 0
    assert "checkpoints/renamed.safetensors has the same content and was taken" in out
    assert "looking among the checkpoints" in err

"""Names of files: found, confined to their folders, told when they lead nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.engine.folders import FolderError, Folders


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("a/sd15/base.safetensors", "a/notes.txt", "a/.hidden.safetensors", "b/base.SAFETENSORS", "secret.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    roots = {"checkpoints": [tmp_path / "a", tmp_path / "b", tmp_path / "missing"], "input": [tmp_path / "a"]}
    return Folders(roots, {"checkpoints": (".safetensors",)})


def test_names_are_relative_posix_and_sorted(folders: Folders) -> None:
    assert folders.names("checkpoints") == ("base.SAFETENSORS", "sd15/base.safetensors")
    assert folders.names("input") == ("notes.txt", "sd15/base.safetensors")


def test_either_slash_leads_to_the_file(folders: Folders, tmp_path: Path) -> None:
    expected = tmp_path / "a/sd15/base.safetensors"
    for name in ("sd15/base.safetensors", "sd15\\base.safetensors", "./sd15//base.safetensors"):
        assert folders.path("checkpoints", name) == expected
        assert folders.plain(name) == "sd15/base.safetensors"


def test_of_two_files_with_one_name_the_first_root_counts(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "b/sd15").mkdir()
    (tmp_path / "b/sd15/base.safetensors").write_text("other")
    assert folders.path("checkpoints", "sd15/base.safetensors") == tmp_path / "a/sd15/base.safetensors"
    assert folders.names("checkpoints").count("sd15/base.safetensors") == 1


@pytest.mark.parametrize(
    "name", ["../secret.txt", "..\\secret.txt", "sd15/../../secret.txt", "/etc/passwd", "C:\\x.txt", "", ".", "a\0b"]
)
def test_a_name_never_leads_out_of_its_folder(folders: Folders, name: str) -> None:
    with pytest.raises(FolderError, match="is not a name below a folder"):
        folders.path("input", name)


def test_a_missing_file_is_told_with_its_folders_and_the_nearest_name(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(FolderError) as caught:
        folders.path("checkpoints", "models/base.safetensors")
    assert caught.value.nearest == "sd15/base.safetensors"
    assert str(tmp_path / "a") in str(caught.value)
    assert "2 files of this kind are there (did you mean 'sd15/base.safetensors'?)" in str(caught.value)
    with pytest.raises(FolderError, match="no file 'sd15'"):
        folders.path("checkpoints", "sd15")
    with pytest.raises(FolderError, match=r"no file 'notes\.doc' among the checkpoints"):
        folders.path("checkpoints", "notes.doc")


def test_a_file_of_another_ending_is_told_to_be_there_with_what_to_do(folders: Folders, tmp_path: Path) -> None:
    there = str(tmp_path / "a/notes.txt")
    with pytest.raises(FolderError) as caught:
        folders.path("checkpoints", "notes.txt")
    assert str(caught.value) == f"{there!r} is there, but the checkpoints that can be read end in .safetensors"
    advised = Folders({"vae": [tmp_path / "a"]}, {"vae": (".sft",)}, advice={".txt": "; turn {path} into one"})
    with pytest.raises(FolderError) as caught:
        advised.placed({"vae": [tmp_path / "a"]}).path("vae", "notes.txt")
    assert str(caught.value).endswith(f"end in .sft; turn {there} into one")
    inputs = Folders({"input": [tmp_path / "a"]}, {"input": (".png",)}, advice={".txt": "; {path}"})
    with pytest.raises(FolderError, match=r"no file 'notes\.txt' among the input"):
        inputs.path("input", "notes.txt")


def test_an_unknown_kind_names_the_kinds(folders: Folders) -> None:
    with pytest.raises(FolderError, match="no folders of the kind 'lora'; the kinds are 'checkpoints', 'input'"):
        folders.names("lora")


def test_a_folder_without_files(tmp_path: Path) -> None:
    empty = Folders({"vae": [tmp_path / "none"], "loras": []})
    assert empty.names("vae") == ()
    with pytest.raises(FolderError, match="there is no file of this kind"):
        empty.path("vae", "x")
    with pytest.raises(FolderError, match="in no folder"):
        empty.path("loras", "x")


def test_identity_follows_the_content_not_the_name(folders: Folders, tmp_path: Path) -> None:
    path = tmp_path / "a/notes.txt"
    before = folders.identity("input", "notes.txt")
    path.rename(tmp_path / "a/renamed.txt")
    assert folders.identity("input", "renamed.txt") == before
    (tmp_path / "a/renamed.txt").write_text("longer than before")
    assert folders.identity("input", "renamed.txt") != before


def test_linked_folders_are_followed_once(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/big.safetensors").write_text("x")
    (tmp_path / "a/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    assert "linked/big.safetensors" in folders.names("checkpoints")
    assert folders.names("checkpoints").count("sd15/base.safetensors") == 1
    assert len(folders.names("checkpoints")) == 3


@pytest.mark.parametrize("kind", ["input", "output", "temp"])
def test_what_strangers_name_leads_no_further_than_its_folder(tmp_path: Path, kind: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "root2"
    for folder in (root / "real", outside):
        folder.mkdir(parents=True)
        (folder / "x.png").write_text("x")
    (root / "away").symlink_to(outside)
    (root / "away.png").symlink_to(outside / "x.png")
    (root / "here.png").symlink_to(root / "real" / "x.png")
    (root / "loop.png").symlink_to(root / "loop.png")
    folders = Folders({kind: [root]}, {kind: [".png"]})
    assert folders.names(kind) == ("here.png", "real/x.png")
    assert folders.path(kind, "here.png") == root / "here.png"
    for name in ("away/x.png", "away.png", "loop.png"):
        with pytest.raises(FolderError, match="no file"):
            folders.path(kind, name)
        with pytest.raises(FolderError, match="no file"):
            folders.identity(kind, name)


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x.png").write_text("x")
    (tmp_path / "root").symlink_to(tmp_path / "real")
    folders = Folders({"input": [tmp_path / "root"]})
    assert folders.names("input") == ("x.png",)
    assert folders.path("input", "x.png") == tmp_path / "root" / "x.png"


@pytest.mark.parametrize(
    ("name", "most"), [("x" * 5000, 255), ("a/" + "é" * 200 + "/x.txt", 255), ("a/" * 600 + "x.txt", 1024)]
)
def test_a_name_that_no_file_system_takes_is_told(folders: Folders, name: str, most: int) -> None:
    with pytest.raises(FolderError, match=f"at most {most} bytes"):
        folders.path("input", name)


def test_a_folder_of_a_diffusers_model_is_one_name(tmp_path: Path) -> None:
    for name in ("sd/model_index.json", "sd/unet/model.safetensors", "one.safetensors", "model_index.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    ends, bundles = {"checkpoints": [".safetensors"]}, {"checkpoints": "model_index.json"}
    folders = Folders({"checkpoints": [tmp_path]}, ends, bundles)
    assert folders.names("checkpoints") == ("one.safetensors", "sd")
    assert folders.path("checkpoints", "sd") == tmp_path / "sd"
    before = folders.identity("checkpoints", "sd")
    (tmp_path / "sd" / "unet" / "model.safetensors").write_text("changed")
    assert folders.identity("checkpoints", "sd") != before
    with pytest.raises(FolderError, match="no file 'sd/unet'"):
        folders.path("checkpoints", "sd/unet")

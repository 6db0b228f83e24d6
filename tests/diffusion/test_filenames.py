"""New files: numbered, confined, and never over another."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nodegraph.diffusion.filenames import DEEPEST, LONGEST, NewFiles


def put(path: Path) -> None:
    path.write_text("x")


def test_numbers_count_on_from_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "cat_00041_.png").write_text("old")
    (tmp_path / "category_00099_.png").write_text("other")
    names = NewFiles(tmp_path, "cat", ".png")
    assert [names.write(index, put).name for index in range(2)] == ["cat_00042_.png", "cat_00043_.png"]
    assert (tmp_path / "cat_00041_.png").read_text() == "old"


def test_a_slash_makes_a_folder_and_fields_are_filled_in(tmp_path: Path) -> None:
    path = NewFiles(tmp_path, "%year%/w%width%-%what%", ".png", width=64).write(0, put)
    assert path == tmp_path / time.strftime("%Y") / "w64-%what%_00001_.png"
    assert NewFiles(tmp_path, "batch_%batch_num%", ".png").write(3, put).name == "batch_3_00001_.png"


@pytest.mark.parametrize("prefix", ["../out", "/etc/x", "a/../../b", "..\\out", "a/../.."])
def test_a_prefix_cannot_leave_the_folder(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match="leads out of the output folder"):
        NewFiles(tmp_path / "output", prefix, ".png")
    assert not (tmp_path / "output").exists()


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        NewFiles(tmp_path, "cat", ".png").write(0, fail)
    assert list(tmp_path.iterdir()) == []


def test_two_that_save_at_once_never_overwrite_one_another(tmp_path: Path) -> None:
    savers = [NewFiles(tmp_path, "cat", ".png") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda saver: [saver.write(index, put) for index in range(10)], savers))
    assert len({path for written in paths for path in written}) == 80
    assert len(list(tmp_path.iterdir())) == 80


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_are_for_whom_the_umask_says(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = NewFiles(tmp_path, "cat", ".png").write(0, put)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("prefix", ["%batch_num%/cat", "a/%batch_num%\\cat"])
def test_a_folder_cannot_be_numbered(tmp_path: Path, prefix: str) -> None:
    with pytest.raises(ValueError, match="%batch_num% fits after the last slash only"):
        NewFiles(tmp_path / "output", prefix, ".png")
    assert not (tmp_path / "output").exists()


def test_a_name_that_is_too_long_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    assert NewFiles(tmp_path, "a" * LONGEST, ".png").write(0, put).exists()
    for prefix, size in (("a" * 241, 241), ("ä" * 121 + "/cat", 242)):
        with pytest.raises(ValueError, match=rf"a name has {size} bytes, expected at most 240"):
            NewFiles(tmp_path / "output", prefix, ".png")
    assert not (tmp_path / "output").exists()


def test_folders_within_folders_are_bounded(tmp_path: Path) -> None:
    assert NewFiles(tmp_path, "a/" * DEEPEST + "cat", ".png").write(0, put).exists()
    with pytest.raises(ValueError, match="got 400 folders, expected at most 16"):
        NewFiles(tmp_path / "output", "a/" * 400 + "cat", ".png")
    assert not (tmp_path / "output").exists()

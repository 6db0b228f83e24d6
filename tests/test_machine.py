"""What the machine tells of itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from nodegraph.machine import calm_threads, peak_memory, remove_old, total_memory, user_cache, user_data


def test_a_container_may_have_less_memory_than_its_machine(tmp_path: Path) -> None:
    limit = tmp_path / "memory.max"
    machine = total_memory(limit)
    assert machine > 2**28
    limit.write_text("max\n")
    assert total_memory(limit) == machine
    limit.write_text("1048576\n")
    assert total_memory(limit) == 2**20


@pytest.mark.skipif(sys.platform == "win32", reason="not told there")
def test_peak_memory_counts_what_was_held() -> None:
    before = peak_memory()["cpu"]
    held = bytearray(os.urandom(1 << 16) * 4096)  # 256 MiB, touched
    assert peak_memory()["cpu"] >= before
    assert peak_memory()["cpu"] > len(held)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have places of their own")
def test_the_cache_folder_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache() == tmp_path / "nodegraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "nodegraph"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have places of their own")
def test_the_data_folder_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_data() == tmp_path / "nodegraph"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_data() == tmp_path / ".local" / "share" / "nodegraph"


def test_old_files_are_removed_and_new_ones_stay(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / "old", (1, 1))
    (tmp_path / "folder").mkdir()
    remove_old(tmp_path, 3600)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "folder"}
    remove_old(tmp_path / "missing", 3600)


def test_threads_wait_calmly_unless_the_user_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    calm_threads()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    calm_threads()
    assert os.environ["GOMP_SPINCOUNT"] == "1000"

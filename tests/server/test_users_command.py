"""`nodegraph users`, with a server running and without; what `nodegraph doctor` finds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from nodegraph.cli import main
from nodegraph.server.locking import FolderLock


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    """Run a command and return exit code, stdout and stderr."""
    code = main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_users_are_managed_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", tmp_path / "data")
    code, token, _ = run(capsys, "users", "add", "ann", "--admin", *data)
    assert code == 0
    assert len(token.strip()) == 43
    listed = run(capsys, "users", "list", *data)[1].splitlines()
    assert [line.split("\t")[:2] for line in listed] == [["ann", "admin"], ["owner", "admin"]]
    code, other, _ = run(capsys, "users", "token", "ann", *data)
    assert code == 0
    assert other != token
    assert "/login?code=" in run(capsys, "users", "link", "ann", *data)[1]
    assert run(capsys, "users", "remove", "ann", *data)[0] == 0
    assert len(run(capsys, "users", "list", *data)[1].splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "Ann"), 2, "expected a-z"),
        (("add", "../x"), 2, "expected a-z"),
        (("add", "con"), 2, "expected a-z"),
        (("add", "owner"), 1, "already"),
        (("remove", "owner"), 1, "owner"),
        (("remove", "nobody"), 1, "nobody"),
        (("token", "nobody"), 1, "nobody"),
        (("link", "nobody"), 1, "nobody"),
    ],
)
def test_what_cannot_be_done_with_users_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = run(capsys, "users", *arguments, "--data", tmp_path)
    assert (found, out) == (code, "")
    assert said in err


@pytest.mark.parametrize("left", [None, {"url": "http://127.0.0.1:9", "token": "old", "pid": 1, "version": "0"}])
def test_what_a_killed_server_left_is_not_taken_for_the_one_that_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: dict[str, Any] | None
) -> None:
    if left is not None:
        (tmp_path / "server.json").write_text(json.dumps(left))
    with FolderLock(tmp_path):
        code, _, err = run(capsys, "users", "list", "--data", tmp_path)
    assert code == 1
    assert "try again in a moment" in err


async def test_users_are_managed_through_a_running_server(shared: Any, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", shared.data)
    token = (await asyncio.to_thread(run, capsys, "users", "add", "ben", *data))[1].strip()
    link = (await asyncio.to_thread(run, capsys, "users", "link", "ben", *data))[1].strip()
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(f"{shared.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}) as response:
            assert (await response.json())["user"] == "ben"
        async with session.get(link) as response:
            assert response.status == 200
        async with session.get(f"{shared.url}/api/v1/me") as response:
            assert (await response.json())["user"] == "ben"
    assert "ben" in (await asyncio.to_thread(run, capsys, "users", "list", *data))[1]
    assert (await asyncio.to_thread(run, capsys, "users", "add", "ben", *data))[0] == 1
    assert (await asyncio.to_thread(run, capsys, "users", "remove", "ben", *data))[0] == 0


def findings(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the exit code of the doctor and what was found, by subject."""
    code, out, _ = run(capsys, "doctor", "--json", *arguments)
    return code, {finding["subject"]: finding for finding in json.loads(out)["findings"]}


def test_the_doctor_finds_a_sound_installation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "users", "list", "--data", tmp_path)
    code, found = findings(capsys, "--data", tmp_path, "--port", "1")
    assert code == 0
    states = {subject: finding["state"] for subject, finding in found.items()}
    assert {"python", "packages", "devices", "data", "server", "store", "plugins", "models"} <= set(states)
    assert "broken" not in states.values()
    assert "schema" in found["store"]["message"]


def test_the_doctor_finds_a_damaged_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "nodegraph.db").write_bytes(b"junk" * 1000)
    code, found = findings(capsys, "--data", tmp_path)
    assert code == 1
    assert found["store"]["state"] == "broken"
    assert found["store"]["advice"]


def test_the_doctor_sees_the_server_that_runs(shared: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = findings(capsys, "--data", shared.data)
    assert code == 0
    assert shared.url in found["server"]["message"]


def test_the_doctor_tells_people_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "doctor", "--data", tmp_path / "file" / "x")
    assert code == 0
    assert "will be made" in out
    (tmp_path / "file").write_text("")
    code, out, _ = run(capsys, "doctor", "--data", tmp_path / "file")
    assert code == 1
    assert "XX  data" in out

"""Names that clients give: what is refused, what is made safe, and that nothing leads out of its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.errors import ApiError
from nodegraph.server.files.paths import (
    LONGEST_PART,
    TAMED,
    NameRefusedError,
    resolve,
    safe_name,
    tame_name,
    user_folder,
)

LEADING_OUT = [
    "", ".", "..", "/", "../x.png", "a/../../x", "a/%date%/../..", "..\\..\\x", "/etc/passwd", "\\windows\\x",
    "C:x", "c:\\x", "\\\\host\\share\\x", "//host/share", "a\0b", "a\nb", "a\r\nSet-Cookie: x", "\ud800.png",
    ".htaccess", "a/.git/config", "x" * 5000, "x" * (LONGEST_PART + 1), "/".join("abcdefghijklmnopq"),
]  # fmt: skip
UNKEEPABLE = [
    "CON", "con.png", "a/NUL.txt", "COM1", "lpt9.png", "aux ", "x.", "x ", " x", "a:b", 'a"b', "a|b", "a?b", "a*b",
    "<img>", "gnp\u202e.exe", "a\u2066b", "\ufeffx", "x\x7f", "x\x85", "CONIN$", "com¹.txt",
]  # fmt: skip


@pytest.mark.parametrize("name", LEADING_OUT + UNKEEPABLE)
def test_a_name_no_file_may_have_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(NameRefusedError) as caught:
        safe_name(name)
    assert caught.value.status == 400
    assert caught.value.message.isascii()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("name", ["x.png", "a/b/c.png", "größe 1.png", "猫.png", "👩‍🎨.png", "a (1).png", "x" * 255])
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert safe_name(name) == name


def test_either_slash_parts_folders() -> None:
    assert safe_name("a\\b//c.png") == "a/b/c.png"


@pytest.mark.parametrize(
    ("name", "tamed"),
    [
        ("../../x.png", "x.png"),
        ("C:\\Users\\me\\cat.jpg", "cat.jpg"),
        (".htaccess", "htaccess"),
        ("", "file"),
        ("...", "file"),
        ("a\r\nb.png", "a__b.png"),
        ('what "is" this?.png', "what _is_ this_.png"),
        ("con.png", "_con.png"),
        ("gnp\u202eexe.png", "gnp_exe.png"),
        ("\ud800.png", "_.png"),
        ("e\u0301.png", "\u00e9.png"),
    ],
)
def test_an_uploads_name_is_made_safe(name: str, tamed: str) -> None:
    assert tame_name(name) == tamed


@given(st.text(alphabet=st.characters(), max_size=400))
def test_whatever_is_made_safe_is_safe(name: str) -> None:
    tamed = tame_name(name)
    assert safe_name(tamed) == tamed
    assert "/" not in tamed
    assert len(tamed.encode()) <= TAMED + 1


def test_a_long_name_keeps_its_suffix() -> None:
    tamed = tame_name("é" * 300 + ".png")
    assert tamed.endswith("é.png")
    assert len(tamed.encode()) <= TAMED


@pytest.mark.parametrize("name", [*LEADING_OUT, "../output2/x.png"])
def test_what_leads_out_looks_as_if_nothing_was_there(tmp_path: Path, name: str) -> None:
    root = tmp_path / "output"
    root.mkdir()
    (tmp_path / "output2").mkdir()
    (tmp_path / "output2" / "x.png").touch()
    with pytest.raises(ApiError) as caught:
        resolve(root, name)
    assert caught.value.status == 404
    assert str(tmp_path) not in caught.value.message


def test_what_is_encoded_twice_is_a_name_like_any_other(tmp_path: Path) -> None:
    assert resolve(tmp_path, "%2e%2e/x") == tmp_path.resolve() / "%2e%2e" / "x"


def test_links_that_leave_are_refused_and_links_that_stay_are_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "input", tmp_path / "outside"
    (root / "a").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.png").touch()
    (root / "a" / "x.png").touch()
    (root / "etc").symlink_to(outside)
    (root / "file.png").symlink_to(outside / "secret.png")
    (root / "inner.png").symlink_to(root / "a" / "x.png")
    (root / "loop").symlink_to(root / "loop")
    for name in ("etc/secret.png", "etc", "file.png", "etc/new.png", "loop"):
        with pytest.raises(ApiError) as caught:
            resolve(root, name)
        assert caught.value.status == 404
    assert resolve(root, "inner.png") == (root / "a" / "x.png").resolve()
    assert resolve(root, "a/new.png") == root.resolve() / "a" / "new.png"


def test_a_root_may_itself_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert resolve(tmp_path / "root", "x.png") == (tmp_path / "real" / "x.png").resolve()


def test_users_have_folders_of_their_own(tmp_path: Path) -> None:
    assert user_folder(tmp_path, "owner", "input") == tmp_path / "input"
    assert user_folder(tmp_path, "ada", "output") == tmp_path / "users" / "ada" / "output"
    assert user_folder(tmp_path, "ada", "temp") == tmp_path / "temp" / "ada"
    with pytest.raises(NameRefusedError):
        user_folder(tmp_path, "../ada", "output")

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.workers.redact import HIDDEN, LONGEST, Redactor

HOME = "/home/alice"
ENVIRONMENT = {
    "HOME": HOME,
    "HF_TOKEN": "abcq",
    "PASSPHRASE_OF_X": "correct horse battery",
    "TERM": "xterm",
    "NUMBER": "123456789012",
}
FOLDERS = {"models": [Path("/srv/models")], "output": [Path("/srv/data/output")], "data": [Path("/srv/data")]}


@pytest.fixture
def redact() -> Redactor:
    return Redactor(FOLDERS, ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no file /srv/models/loras/x.safetensors", "no file models/loras/x.safetensors"),
        ("/srv/data/output/a.png is there", "output/a.png is there"),
        ("/srv/data/users/bob/input/b.png", "data/users/bob/input/b.png"),
        ("/srv/models2/x is another folder", f"{HIDDEN} is another folder"),
        ("cannot open '/etc/ssl/private/key.pem'", f"cannot open '{HIDDEN}'"),
        ("file:///etc/passwd", HIDDEN),
        (r"C:\Users\alice\secret.txt is locked", f"{HIDDEN} is locked"),
        (r"\\server\share\x.txt", HIDDEN),
        ("the token is abcq", f"the token is {HIDDEN}"),
        ("it said correct horse battery!", f"it said {HIDDEN}!"),
        ("https://user:pa55@host.example/x", f"https://{HIDDEN}@host.example/x"),
        ("Authorization: Bearer abc.def-ghi", f"Authorization: {HIDDEN}"),
        ("used hf_abcdefghijklmnop", f"used {HIDDEN}"),
        ("used sk-live-0123456789abcdefghijklmnop", f"used {HIDDEN}"),
        ("api_key=xyz123; next", f"{HIDDEN}; next"),
        ("a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2 said", f"{HIDDEN} said"),
    ],
)
def test_what_tells_too_much_is_hidden(redact: Redactor, text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: shapes (1, 4, 64, 64) and (1, 4, 32, 32) differ",
        "width: got 7, expected a multiple of 8",
        "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight is missing",
        "got 3/4 of it, 1.5 it/s, either/or",
        "it needs 123456789012 bytes and a xterm",
    ],
)
def test_what_a_user_needs_stays(redact: Redactor, text: str) -> None:
    assert redact(text) == text


def test_a_traceback_goes(redact: Redactor) -> None:
    text = 'it failed\nTraceback (most recent call last):\n  File "/x/y.py", line 3, in z\n    boom()\nValueError: 3'
    assert redact(text) == "it failed"


def test_control_characters_and_direction_overrides_go(redact: Redactor) -> None:
    assert redact("a\x1b[31mb\x00\u202ec") == "a [31mb  c"


def test_a_long_text_is_cut(redact: Redactor) -> None:
    assert len(redact("word " * 10_000)) <= LONGEST


@given(st.text(max_size=300), st.text(max_size=30))
def test_no_text_brings_back_a_secret(before: str, after: str) -> None:
    found = Redactor(FOLDERS, ENVIRONMENT)(f"{before} correct horse battery {after} {HOME}/x")
    assert "correct horse battery" not in found
    assert HOME not in found

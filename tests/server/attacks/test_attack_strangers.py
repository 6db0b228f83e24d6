"""Rows 34 and 43 of the attack list: workflows of strangers, run with what comes with nodegraph, reach nothing else.

The server runs as a process of its own. In it and in its host and worker a hook hears of each connection, name that is
looked up, process that is started and file that is opened for writing, before it happens; the kernel's tables tell
which sockets are open.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.attacks.wire import API, Wire, node

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's tables of sockets are read"),
]
WATCH = """
import os, sys

FILE = os.environ["NODEGRAPH_TEST_WATCHED"]
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "webbrowser.open")
CALLS = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
         "socket.gethostbyaddr", "urllib.Request", "ftplib.connect", "smtplib.connect")
MAKES = ("os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree")
me = next((word for word in sys.orig_argv if word in ("serve", "host", "worker")), "other")

def watch(event, arguments):
    if event == "open":
        path, mode, flags = arguments
        if not isinstance(path, (str, bytes)) or not (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        note("write", os.fsdecode(path))
    elif event in STARTS:
        note("start", repr(arguments[:2]))
    elif event in CALLS:
        note("call", f"{event} {arguments[-1] if event in CALLS[:3] else arguments[0]!r}")
    elif event in MAKES:
        for path in arguments[: 2 if event in ("os.rename", "os.link", "os.symlink") else 1]:
            if isinstance(path, (str, bytes)):
                note("write", os.fsdecode(path))

def note(kind, text):
    number = os.open(FILE, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)  # heard of too, but its path is passed over
    os.write(number, f"{me} {kind} {text}\\n".encode("utf-8", "replace"))
    os.close(number)

quiet = False
def guarded(event, arguments):
    global quiet
    if quiet or (event == "open" and arguments[0] == FILE):
        return
    quiet = True
    try:
        watch(event, arguments)
    finally:
        quiet = False

note("begins", ".")
sys.addaudithook(guarded)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("strangers")


@pytest.fixture(scope="module")
def process(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a server that is watched."""
    (place / "watch").mkdir()
    (place / "watch" / "sitecustomize.py").write_text(WATCH)
    (place / "watched").touch()
    (place / "elsewhere").mkdir()
    (place / "tmp").mkdir()
    own = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}  # torch sets it
    environment = {
        **own, "PYTHONPATH": str(place / "watch"), "NODEGRAPH_TEST_WATCHED": str(place / "watched"),
        "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(place / "tmp"), "NO_PROXY": "", "http_proxy": "http://127.0.0.1:9",
    }  # fmt: skip
    command = [
        sys.executable,
        "-m",
        "nodegraph",
        "serve",
        "--data",
        str(place / "data"),
        "--port",
        "0",
        "--devices",
        "cpu",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=place / "elsewhere"
    ) as found:
        try:
            assert found.stdout is not None
            assert found.stdout.readline().startswith("nodegraph serves at")
            yield found
        finally:
            found.kill()


@pytest.fixture
def wire(process: subprocess.Popen[str], place: Path) -> Wire:
    told = json.loads((place / "data" / "server.json").read_text())
    return Wire(int(told["url"].rpartition(":")[2]), told["token"], [str(place)])


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for each in found:
        texts = [path.read_text() for path in Path(f"/proc/{each}/task").glob("*/children")]
        found += [int(word) for word in " ".join(texts).split()]
    return found


def sockets(pids: list[int]) -> set[str]:
    """Return the internet sockets that these processes hold, as `state local remote` with addresses in hexadecimal."""
    held = set()
    for pid in pids:
        for number in Path(f"/proc/{pid}/fd").iterdir():
            try:
                held.add(str(number.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        path = Path(f"/proc/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            words = line.split()
            if f"socket:[{words[9]}]" in held:
                found.add(f"{table} {words[3]} {words[1]} {words[2]}")
    return found


PICTURES = ("../../etc/passwd", "/etc/passwd", "http://169.254.169.254/x.png", "file:///etc/passwd", "example.png")
MODELS = ("http://evil.example/x.safetensors", "stabilityai/sd-turbo", "../../x.ckpt", "shapes.safetensors")
PREFIXES = ("../../elsewhere/x", "/tmp/strange-x", "a/../../../x", "%year%/../../x", "~/x", "$HOME/x", "`id`", "$(id)")
TEXTS = ("$(touch x)", "`touch x`", "{{7*7}}", "__import__('os').system('touch x')", "%s%n", "file:///etc/passwd")


def load(image: str, prefix: str = "x") -> dict[str, Any]:
    save = node("SaveImage", {"images": "load.image"}, filename_prefix=prefix)
    return {"load": node("LoadImage", image=image), "save": save}


def model(name: str) -> dict[str, Any]:
    loader = node("CheckpointLoaderSimple", ckpt_name=name)
    return {"load": loader, "text": node("CLIPTextEncode", {"clip": "load.clip"}, text=name)}


STRANGE: list[dict[str, Any]] = [
    *(load(name) for name in PICTURES),
    *(load("example.png", prefix) for prefix in PREFIXES),
    *(model(name) for name in MODELS),
    *({"a": node("PrimitiveStringMultiline", value=text), "b": node("TextLines", text=text)} for text in TEXTS),
]


def test_rows34_and_43_what_strangers_send_reaches_nothing_but_the_data_folder(
    wire: Wire, process: subprocess.Popen[str], place: Path
) -> None:
    template = wire.get(f"{API}/templates/text_to_image").json()
    job = wire.post(f"{API}/jobs?wait=28", {"workflow": template, "inputs": {"steps": 2}}).json()
    assert job["state"] == "done", job
    seen = sockets(family(process.pid))
    for nodes in STRANGE:
        job = wire.job(nodes, targets=list(nodes)[-1:], wait=20)
        assert "error" in job or job["state"] in ("done", "failed"), job
    every_route(wire)
    seen |= sockets(family(process.pid))
    pids = family(process.pid)
    assert len(pids) == 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    heard = [line.split(" ", 2) for line in (place / "watched").read_text().splitlines()]
    check_heard(heard, place)
    check_sockets(seen, wire.port)
    assert list((place / "elsewhere").iterdir()) == []


def every_route(wire: Wire) -> None:
    """Ask every route of the document for something."""
    for path, methods in wire.get("/openapi.json").json()["paths"].items():
        for method in methods:
            if not path.endswith(("/events", "/users", "/logout")):
                body = None if method == "get" else b"{}"
                filled = re.sub(r"\{[^}]+\}", "x", path)
                answer = wire.send(method.upper(), filled, body, ["Content-Type: application/json"])
                assert answer.status, path
    for path in ("/", "/style/base.css", "/healthz", "/readyz", "/metrics", "/openapi.json", "/login?code=x"):
        assert wire.get(path).status in (200, 403, 404, 501)


def check_heard(heard: list[list[str]], place: Path) -> None:
    assert {who for who, kind, _ in heard if kind == "begins"} >= {"serve", "host", "worker"}
    calls = {text for _, kind, text in heard if kind == "call"}
    assert calls <= {"socket.getaddrinfo '127.0.0.1'"}, calls
    starts = {text for who, kind, text in heard if kind == "start" and who != "serve"}
    assert starts <= set(), starts
    written = {text for _, kind, text in heard if kind == "write"}
    assert any("output" in path for path in written), "the watch is deaf"
    allowed = (str(place / "data"), str(place / "tmp"), "/dev/null", "/proc/self/", "/dev/shm", str(place / "watched"))
    caches = tuple(os.environ[name] for name in ("XDG_CACHE_HOME", "HF_HOME", "XDG_DATA_HOME") if name in os.environ)
    outside = {path for path in written if path.startswith("/") and not path.startswith((*allowed, *caches))}
    assert outside == set(), outside


def check_sockets(seen: set[str], port: int) -> None:
    """See that there is one listener, on loopback, and connections to it alone."""
    ours = f"0100007F:{port:04X}"  # 127.0.0.1 as the kernel writes it on a little-endian machine
    assert any(line.split()[1:3] == ["0A", ours] for line in seen), seen
    assert [line for line in seen if line.split()[2] != ours] == []


def test_the_watch_hears(place: Path, tmp_path: Path) -> None:
    """The hook hears what it is there for: else the test above would say nothing."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    (tmp_path / "watched").touch()
    program = (
        "import socket, subprocess, pathlib; socket.socket().connect_ex(('127.0.0.1', 9)); "
        "pathlib.Path('x').write_text('x'); subprocess.run(['true'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NODEGRAPH_TEST_WATCHED": str(tmp_path / "watched")}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True, timeout=30)
    heard = (tmp_path / "watched").read_text()
    assert "call socket.connect" in heard
    assert "write x" in heard
    assert "start ('true'" in heard

"""Rows 1 to 8, 23, 35 to 37 of the attack list: names that lead out of their folders, in routes, nodes and imports."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.server.attacks.conftest import CANARY
from tests.server.attacks.wire import API, JSON, Answer, Wire, node

NAMES = {
    "plain": "../../{secret}",
    "dots": "../{secret}",
    "slash encoded": "..%2f..%2f{secret}",
    "dots encoded": "%2e%2e/%2e%2e/{secret}",
    "all encoded": "%2e%2e%2f{secret}",
    "encoded twice": "%252e%252e%252f{secret}",
    "overlong": "%c0%ae%c0%ae/{secret}",
    "backslash": "..%5c..%5c{secret}",
    "absolute": "/etc/passwd",
    "absolute encoded": "%2fetc%2fpasswd",
    "two slashes": "//etc/passwd",
    "NUL": "{secret}%00.png",
    "drive": "C:x",
    "drive encoded": "C%3a%5cx.png",
    "share": "%5c%5chost%5cshare",
    "question mark": "..%2f{secret}%3f",
    "fragment": "..%2f{secret}%23.png",
    "semicolon": "..;/{secret}",
    "line break": "%0d%0aSet-Cookie:%20a=b",
    "bytes": "%ff%fe",
    "long": "x" * 9000,
    "deep": "a/" * 3000,
}
ROUTES = [
    ("GET", "/{}"),
    ("GET", f"{API}/files/{{}}"),
    ("GET", f"{API}/files/{{}}/thumbnail"),
    ("DELETE", f"{API}/files/{{}}"),
    ("GET", f"{API}/workflows/{{}}"),
    ("DELETE", f"{API}/workflows/{{}}"),
    ("GET", f"{API}/revisions?name={{}}"),
    ("GET", f"{API}/revisions/1?name={{}}"),
    ("GET", f"{API}/templates/{{}}"),
    ("GET", f"{API}/models/checkpoints/{{}}"),
    ("GET", f"{API}/models/input/{{}}"),
    ("GET", f"{API}/models/{{}}/x"),
    ("GET", f"{API}/outputs/{{}}"),
    ("GET", f"{API}/outputs/{{}}/thumbnail"),
    ("DELETE", f"{API}/outputs/{{}}"),
    ("GET", f"{API}/jobs/{{}}"),
    ("GET", f"{API}/jobs/{{}}/workflow"),
    ("GET", f"{API}/batches/{{}}"),
    ("GET", f"{API}/nodes/{{}}"),
    ("GET", f"{API}/plugins/nodegraph-good/{{}}"),
    ("GET", f"{API}/plugins/{{}}/x"),
    ("DELETE", f"{API}/users/{{}}"),
]


@pytest.fixture
def secrets(shared: Any) -> list[Path]:
    """Put files beside the folders that may be read, and links to them inside."""
    shared.data.joinpath("input").mkdir(exist_ok=True)
    found = []
    for folder in ("", "input2", "output2", "workflows2"):
        (shared.data / folder).mkdir(exist_ok=True)
        for name in ("secret.png", "secret.json", "secret.txt"):
            found.append(shared.data / folder / name)
            found[-1].write_text(CANARY)
    for name, target in (("etc", Path("/etc")), ("link.txt", found[2]), ("link.png", found[0])):
        if not (shared.data / "input" / name).is_symlink():
            (shared.data / "input" / name).symlink_to(target)
    return found


@pytest.mark.parametrize("name", NAMES.values(), ids=[f"row1 {name}" for name in NAMES])
def test_no_route_leads_out_of_its_folder(wire: Wire, secrets: list[Path], name: str) -> None:
    for method, path in ROUTES:
        for secret in ("secret.png", "secret.json", "input2/secret.png"):
            answer = wire.send(method, path.format(name.format(secret=secret)))
            assert answer.status in (400, 404, 405, 409, 422), (method, path, answer)
            if "{secret}" not in name:
                break
    assert all(secret.read_text() == CANARY for secret in secrets)


TARGETS = ["/../../etc/passwd", "//etc/passwd", "http://127.0.0.1/../../etc/passwd", "*", "/%2e%2e/%2e%2e/etc/passwd",
           "/..", "/.", "etc/passwd", "http://[", "/\xff"]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_row1_no_request_target_leads_out_of_the_pages(wire: Wire, target: str) -> None:
    assert wire.send("GET", target).status in (0, 400, 403, 404)


OUT = {
    "row2 prefix sibling": ["../input2/secret.png", "../input2/secret.txt", "../output2/secret.png"],
    "row3 link to a folder": ["etc/passwd", "etc/hostname"],
    "row3 link to a file": ["link.png", "link.txt"],
    "row4 annotated": ["../../secret.png [output]", "secret.png [output]", "../secret.png [temp]"],
    "row23 absolute": ["/etc/passwd", "C:\\secret.png", "\\\\host\\secret.png", "~/secret.png", "$HOME/secret.png"],
    "row34 address": ["http://169.254.169.254/x.png", "file:///etc/passwd", "gopher://127.0.0.1/", "data:image/png,x"],
}


@pytest.mark.parametrize("names", OUT.values(), ids=list(OUT))
def test_neither_route_nor_node_nor_batch_reads_what_lies_elsewhere(
    wire: Wire, secrets: list[Path], names: list[str]
) -> None:
    takers = file_inputs(wire)
    assert {"LoadImage.image", "CheckpointLoaderSimple.ckpt_name"} <= {".".join(taker) for taker in takers}
    for name in names:
        quoted = "".join(f"%{byte:02x}" for byte in name.encode())
        assert wire.get(f"{API}/files/{quoted}").status in (400, 404)
        for type, port in takers:
            workflow = {"format": 1, "nodes": {"load": node(type, **{port: name})}}
            answer = wire.post(f"{API}/jobs", {"workflow": workflow})
            assert answer.status == 422
            assert ("load", f"params.{port}") in places(answer)
        text = {"format": 1, "nodes": {"a": node("faults.Text", text="x")}, "inputs": {"text": "a.text"}}
        answer = wire.post(f"{API}/batches", {"workflow": text, "over": {"file": {"name": name}}})
        assert answer.status in (400, 404, 415, 422), answer


def places(answer: Answer) -> set[tuple[str | None, str | None]]:
    """Return the nodes and fields that a refusal names."""
    return {(problem.get("node"), problem.get("field")) for problem in answer.json()["error"]["problems"]}


def file_inputs(wire: Wire) -> list[tuple[str, str]]:
    """Return the parameters of all node types that name a file: whatever is marked as one."""
    nodes = wire.get(f"{API}/nodes").json()["nodes"]
    return [
        (type, port)
        for type, schema in nodes.items()
        for port, described in schema["properties"].get("params", {}).get("properties", {}).items()
        if "x-file" in described
    ]


@pytest.mark.parametrize(
    "name",
    ["config.toml", "__init__.py", "server.json", "../nodegraph.db", "..%2fserver.json", "a%0d%0atoken=x", "%2e%2e/x",
     "CON", "nodegraph.db%00", "x" * 300, "../plugins/x.py", ".git/hooks/post-commit"],
    ids=lambda name: f"row37 {name:.24}",
)  # fmt: skip
def test_what_is_saved_changes_no_file_of_the_servers_own(wire: Wire, shared: Any, name: str) -> None:
    def others() -> set[str]:
        found = [path for name in ("", "input", "output", "users", "temp") for path in (shared.data / name).glob("*")]
        return {str(path) for path in found if not path.name.startswith(("nodegraph.db", "staging", "workflows"))}

    before, told = others(), (shared.data / "server.json").read_bytes()
    body = json.dumps({"format": 1, "nodes": {}, "meta": {"name": "a\r\n[server]\r\ntoken = x"}}).encode()
    answer = wire.send("PUT", f"{API}/workflows/{name}", body, [*JSON, "If-None-Match: *"])
    assert answer.status in (201, 400, 404)
    assert (shared.data / "server.json").read_bytes() == told
    assert others() == before
    kept = [path for path in (shared.data / "workflows").rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} <= {".json"}  # never a name that something else would run or read


def test_rows35_and_36_nothing_is_installed_downloaded_or_unpacked(wire: Wire) -> None:
    paths = wire.get("/openapi.json").json()["paths"]
    words = (
        "install",
        "download",
        "upgrade",
        "unpack",
        "extract",
        "zip",
        "tar",
        "fetch",
        "proxy",
        "url",
        "exec",
        "eval",
    )
    assert [path for path in paths for word in words if word in path] == []
    nodes = wire.get(f"{API}/nodes").json()["nodes"]
    ports = {
        f"{type}.{port}".lower()
        for type, schema in nodes.items()
        if schema["x-plugin"] == "nodegraph.nodes"
        for port in schema["properties"].get("params", {}).get("properties", {})
    }
    # A name below a folder of models; and patterns, which Python's `re` reads in a worker that a cancel can end.
    known = {"diffusersloader.model_path"} | {port for port in ports if port.startswith("regex")}
    asked = {word for port in ports - known for word in re.split(r"[._]", port)}
    assert asked & {*words, "http", "path", "code", "regex", "pattern", "command", "script", "expression"} == set()


@pytest.mark.parametrize("form", ["application/zip", "application/x-tar", "multipart/form-data; boundary=x"])
def test_row36_archives_are_not_taken(wire: Wire, shared: Any, form: str) -> None:
    before = set((shared.data / "input").rglob("*"))
    archive = zipped({"../../escaped.png": b"x", "/tmp/escaped.png": b"x"})
    for target in (f"{API}/files?name=x.png", f"{API}/jobs/import", f"{API}/workflows/x"):
        answer = wire.send("PUT" if "workflows" in target else "POST", target, archive, [f"Content-Type: {form}"])
        assert answer.status in (400, 415, 428), answer
    assert set((shared.data / "input").rglob("*")) == before


def zipped(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_row36_what_an_import_says_of_outputs_gives_no_file_away(wire: Wire, secrets: list[Path]) -> None:
    id = uuid4().hex
    output = {"id": uuid4().hex, "name": "../secret.png", "kind": "output", "there": True, "media": "text/html"}
    job = {
        "format": 1, "id": id, "state": "done", "user": "ada", "workflow": {"format": 1, "nodes": {}},
        "outputs": [output, {**output, "id": uuid4().hex, "name": "/etc/passwd"}], "document": "../secret.json",
    }  # fmt: skip
    lines = json.dumps(job).encode()
    answer = wire.send("POST", f"{API}/jobs/import", lines, ["Content-Type: application/x-ndjson"])
    assert (answer.status, answer.json()["history"]) == (200, 1)
    taken = wire.get(f"{API}/jobs/{id}").json()
    assert (taken["user"], taken.get("outputs", [])) == ("owner", [])
    assert wire.get(f"{API}/outputs/{output['id']}").status == 404
    wire.send("DELETE", f"{API}/jobs/{id}?outputs=true")
    assert all(secret.read_text() == CANARY for secret in secrets)

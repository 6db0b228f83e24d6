"""Requests byte by byte, as no well-meant client would send them, and what no answer may tell."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

API = "/api/v1"
JSON = ("Content-Type: application/json",)
SECONDS = 30.0
ROOT = str(Path(__file__).parents[3])


@dataclass(frozen=True)
class Answer:
    """What came back; status 0: the connection was closed without an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["error"]["code"])


NOTHING = Answer(0, {}, b"")


@dataclass
class Wire:
    """Speaks to a server over sockets of its own and looks at each answer.

    `secrets` are texts that no answer may hold: where the server keeps its files, what lies beside them.
    """

    port: int
    token: str
    secrets: list[str] = field(default_factory=list)

    def raw(self, data: bytes, *, method: str = "GET", seconds: float = SECONDS) -> Answer:
        """Send bytes on a new connection and read one answer."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=seconds)) as connection:
            with suppress(ConnectionError):  # answered and closed before all was sent
                connection.sendall(data)
            response = HTTPResponse(connection, method=method)
            try:
                response.begin()
                answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
            except (ConnectionError, HTTPException):
                return NOTHING
            finally:
                response.close()
        self.look(answer)
        return answer

    def send(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Iterable[str] = (),
        *,
        token: str | None = "",
        host: str = "127.0.0.1",
        seconds: float = SECONDS,
    ) -> Answer:
        """Send a request whose target and headers are left as they are; `token`: the owner's, another, or None."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
        if token is not None:
            lines.append(f"Authorization: Bearer {token or self.token}")
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")
        return self.raw(head + (body or b""), method=method, seconds=seconds)

    def post(self, target: str, document: Any, **options: Any) -> Answer:
        """Send JSON."""
        return self.send("POST", target, json.dumps(document).encode(), JSON, **options)

    def get(self, target: str, **options: Any) -> Answer:
        return self.send("GET", target, **options)

    def look(self, answer: Answer) -> None:
        """See that an answer tells nothing of the server's inside, and that an error of it has a reference."""
        told = answer.text + "".join(f"\n{name}: {value}" for name, value in answer.headers.items())
        for secret in ("Traceback", 'File "', "site-packages", ROOT, *self.secrets):
            assert secret not in told, f"{answer.status} tells {secret!r}: {told[:500]}"
        assert "nosniff" in answer.headers["x-content-type-options"]
        assert answer.status < 500, told[:500]

    def alive(self) -> None:
        """See that the server answers."""
        assert self.get("/healthz", token=None).status == 200

    def job(self, nodes: Mapping[str, Any], wait: float = 60, **more: Any) -> Any:
        """Run a workflow and return the job, or the error that it was refused with."""
        answer = self.post(f"{API}/jobs?wait={wait:g}", {"workflow": {"format": 1, "nodes": nodes}, **more})
        return answer.json()


def node(type: str, links: Mapping[str, str] | None = None, /, **params: Any) -> dict[str, Any]:
    """Return a node's entry."""
    return {"type": type, "params": params, **({"links": dict(links)} if links else {})}

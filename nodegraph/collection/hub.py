"""Ask the hub where a file is, how long it is and what its checksum is; tell plainly why it does not give it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from nodegraph.engine.errors import NodegraphError

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

ENDPOINT: Final = "https://huggingface.co"
SCHEME: Final = "hf:"
MOST_REDIRECTS: Final = 5
REDIRECTS: Final = (301, 302, 303, 307, 308)
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
YES: Final = {"1", "on", "yes", "true"}
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_SHA1: Final = re.compile(r"[0-9a-f]{40}")


class HubError(NodegraphError):
    """Why a file does not come from the hub; `again` tells whether it may come when asked again."""

    def __init__(self, message: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(message)
        self.again, self.wait = again, wait


@dataclass(frozen=True)
class Address:
    """A file of a repository at a revision."""

    owner: str
    repo: str
    path: str
    revision: str = "main"

    def __str__(self) -> str:
        at = "" if self.revision == "main" else f"@{self.revision}"
        return f"{SCHEME}{self.owner}/{self.repo}/{self.path}{at}"

    def at(self, revision: str) -> str:
        """Return where the file is below the hub's address."""
        return f"/{self.owner}/{self.repo}/resolve/{quote(revision, safe='')}/{quote(self.path)}"


@dataclass(frozen=True)
class Remote:
    """A file on the hub: its address at a commit, bytes, and checksum: a sha256, or git's sha1 of a small file."""

    address: Address
    commit: str
    size: int
    checksum: str

    @property
    def git(self) -> bool:
        """Tell whether the checksum is git's."""
        return len(self.checksum) == 40


@dataclass(frozen=True)
class Hub:
    """A hub: where it is, and the token that it, and nobody else, is shown."""

    endpoint: str = ENDPOINT
    token: str | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Hub:
        """Return the hub that the variables of the hub's own tools name; raise `HubError` where they forbid to ask."""
        variables = os.environ if environment is None else environment
        if variables.get("HF_HUB_OFFLINE", "").lower() in YES:
            raise HubError("HF_HUB_OFFLINE is set: nothing is fetched")
        endpoint = (variables.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        if not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", endpoint):
            raise HubError(f"HF_ENDPOINT: got {endpoint!r}, expected an address such as {ENDPOINT}")
        return cls(endpoint, variables.get("HF_TOKEN") or _token_file(variables))

    def url(self, path: str) -> URL:
        """Return an address below the hub's."""
        from yarl import URL

        return URL(self.endpoint + path, encoded=True)

    def headers(self, url: URL) -> dict[str, str]:
        """Return what is sent to an address: the token to the hub alone, and only where nobody can read it."""
        from yarl import URL

        ours = url.origin() == URL(self.endpoint).origin() and (url.scheme == "https" or url.host in LOOPBACK)
        headers = {"Accept-Encoding": "identity", "User-Agent": "nodegraph"}
        return {**headers, "Authorization": f"Bearer {self.token}"} if ours and self.token else headers

    def followed(self, url: URL, location: str) -> URL:
        """Return where a redirect leads; raise `HubError` where it leads from https to http, or nowhere."""
        from yarl import URL

        try:
            target = url.join(URL(location, encoded=True))
        except ValueError as error:
            raise HubError(f"the hub sends elsewhere, to {location[:200]!r}, which is no address") from error
        plain = target.scheme == "http" and url.scheme == "http" and target.host in (url.host, *LOOPBACK)
        if target.scheme != "https" and not plain:
            raise HubError(f"the hub sends on to {target.scheme}://{target.host}, which is not encrypted: refused")
        return target

    async def find(self, session: aiohttp.ClientSession, address: Address) -> Remote:
        """Return where a file is; raise `HubError` where it is not, or is not given."""
        url = self.url(address.at(address.revision))
        commit = ""
        for _ in range(MOST_REDIRECTS):
            async with session.head(url, headers=self.headers(url), allow_redirects=False) as answer:
                headers = answer.headers
                commit = headers.get("X-Repo-Commit", commit)
                linked = headers.get("X-Linked-Etag")
                if answer.status in REDIRECTS and linked is None and headers.get("Location"):
                    url = self.followed(url, headers["Location"])
                    continue
                if answer.status not in REDIRECTS:
                    check(answer, address)
                size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
                return Remote(
                    address, _commit(commit, address), _size(size, address), _checksum(linked, headers, address)
                )
        raise HubError(f"{address}: the hub sends on and on")


def parse_address(text: str) -> Address:
    """Read `hf:owner/repo/path/file[@revision]`; raise `HubError` for what is none."""
    wanted = f"got {text!r}, expected hf:OWNER/REPO/FILE or hf:OWNER/REPO/FILE@REVISION"
    if not text.startswith(SCHEME):
        raise HubError(wanted)
    place, _, revision = text.removeprefix(SCHEME).partition("@")
    parts = place.split("/")
    if len(parts) < 3 or not all(parts) or any(part in (".", "..") for part in parts):
        raise HubError(wanted)
    if not (_PART.fullmatch(parts[0]) and _PART.fullmatch(parts[1])):
        raise HubError(f"{wanted}; {parts[0]}/{parts[1]} is no name of a repository")
    if "@" in text and not revision:
        raise HubError(f"{wanted}; there is nothing after the @")
    return Address(parts[0], parts[1], "/".join(parts[2:]), revision or "main")


def check(answer: aiohttp.ClientResponse, address: Address, *, stored: bool = False) -> None:
    """Raise `HubError` for an answer that is a refusal, with what would help.

    `stored` tells that it is not the hub's but that of where it sent on to, for a while: the hub is asked again then.
    """
    status, code = answer.status, answer.headers.get("X-Error-Code", "")
    if status < 300:
        return
    if stored:
        raise HubError(f"{address}: {answer.url.host} answers {status} {answer.reason or ''}".rstrip(), again=True)
    page = f"{answer.url.origin()}/{address.owner}/{address.repo}"
    if code == "GatedRepo" or (status == 403 and not code):
        how = f"accept its terms at {page} and set HF_TOKEN to a token of that account"
        raise HubError(f"{address}: the repository is gated: {how}")
    if code == "RevisionNotFound":
        raise HubError(f"{address}: the repository has no revision {address.revision!r}")
    if code == "EntryNotFound":
        raise HubError(f"{address}: the repository has no file {address.path!r} at {address.revision!r}; see {page}")
    if status in (401, 404):
        hint = "its name may be misspelt, or it is private and HF_TOKEN needs a token that may read it"
        raise HubError(f"{address}: there is no such repository to be read: {hint}")
    told = answer.headers.get("X-Error-Message", "")[:300]
    wait = answer.headers.get("Retry-After", "")
    raise HubError(
        f"{address}: the hub answers {status} {answer.reason or ''}".rstrip() + (f": {told}" if told else ""),
        again=status in (408, 429) or status >= 500,
        wait=min(float(wait), 60.0) if wait.isdecimal() else 0.0,
    )


def _token_file(variables: Mapping[str, str]) -> str | None:
    home = variables.get("HF_HOME") or Path(variables.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    path = Path(variables.get("HF_TOKEN_PATH") or Path(home) / "token").expanduser()
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return text or None


def _commit(commit: str, address: Address) -> str:
    if not re.fullmatch(r"[\w.-]{1,100}", commit):
        raise HubError(f"{address}: the hub does not tell of which commit the file is")
    return commit


def _size(text: str, address: Address) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        raise HubError(f"{address}: the hub does not tell how long the file is")
    return int(text)


def _checksum(linked: str | None, headers: Mapping[str, str], address: Address) -> str:
    """Return the sha256 of a large file, or git's checksum of one that lies in the repository itself."""
    etag = (linked or headers.get("ETag", "")).removeprefix("W/").strip('"').lower()
    if _SHA256.fullmatch(etag) or (linked is None and _SHA1.fullmatch(etag)):
        return etag
    raise HubError(f"{address}: the hub tells no checksum of the file, so it could not be checked: refused")

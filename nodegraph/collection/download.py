"""Fetch a file of the hub in as many turns as it takes, and check it before anybody sees it."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from nodegraph.collection.hub import MOST_REDIRECTS, REDIRECTS, Address, Hub, HubError, Remote, check

if TYPE_CHECKING:
    import aiohttp

PIECE: Final = 2**20
TRIES: Final = 6
"""How often in a row a connection may break without bringing anything."""
LONGEST_PAUSE: Final = 30.0
CONNECT_SECONDS: Final = 30.0
SILENT_SECONDS: Final = 60.0
"""After how long a connection is given up that brings nothing."""
log = logging.getLogger(__name__)
Tell = Callable[[int, int], object]
"""Told the bytes that are here and all there will be."""


@asynccontextmanager
async def downloading(hub: Hub, *, pause: float = 1.0) -> AsyncIterator[Downloader]:
    """Give what fetches files of a hub; `pause` is the time before a connection that broke is tried again."""
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    async with aiohttp.ClientSession(timeout=limits, trust_env=True, auto_decompress=False) as session:
        yield Downloader(session, hub, pause)


class Downloader:
    """Fetches files of one hub."""

    def __init__(self, session: aiohttp.ClientSession, hub: Hub, pause: float) -> None:
        self._session, self._hub, self._pause = session, hub, pause

    async def find(self, address: Address) -> Remote:
        """Return where a file is."""
        turns = _Turns(self._pause)
        while True:
            try:
                return await self._hub.find(self._session, address)
            except _breaks() as error:
                await turns.another(address, error)

    async def start(self, remote: Remote, count: int) -> bytes:
        """Return the first bytes of a file."""
        turns, count = _Turns(self._pause), min(count, remote.size)
        while count:
            try:
                async with self._opened(remote, 0, count) as answer:
                    found = bytearray()
                    async for piece in answer.content.iter_chunked(PIECE):
                        found += piece
                        if len(found) >= count:  # of a hub that gives more than was asked for
                            break
                if len(found) >= count:
                    return bytes(found[:count])
                raise HubError(f"{remote.address}: it ended after {len(found)} of {count} bytes", again=True)
            except _breaks() as error:
                await turns.another(remote.address, error)
        return b""

    async def fetch(self, remote: Remote, part: Path, tell: Tell | None = None) -> None:
        """Bring a file to `part`, taking up what is there; raise `HubError` where what came is not what the hub tells.

        What came stays where the rest does not come, and goes where it is wrong.
        """
        with _locked(part) as stream:
            checksum = _Checksum(remote, stream)
            _check_room(part, remote.size - checksum.count)
            turns = _Turns(self._pause)
            while checksum.count < remote.size:
                before = checksum.count
                try:
                    await self._more(remote, stream, checksum, tell)
                except _breaks() as error:
                    turns.count = 0 if checksum.count > before else turns.count
                    await turns.another(remote.address, error)
            os.fsync(stream.fileno())
        if checksum.found != remote.checksum:
            part.unlink(missing_ok=True)
            raise HubError(
                f"{remote.address}: what came is not what the hub tells: its checksum is {checksum.found}, "
                f"expected {remote.checksum}; nothing is kept"
            )

    async def _more(self, remote: Remote, stream: IO[bytes], checksum: _Checksum, tell: Tell | None) -> None:
        """Bring what is missing, as far as it comes."""
        async with self._opened(remote, checksum.count, None) as answer:
            if answer.status == 200 and checksum.count:  # of a hub that knows no ranges
                checksum.restart(stream)
            async for piece in answer.content.iter_chunked(PIECE):
                if checksum.count + len(piece) > remote.size:
                    checksum.restart(stream)
                    raise HubError(f"{remote.address}: more bytes came than the {remote.size} that the hub told of")
                _write(stream, piece, remote)
                checksum.add(piece)
                if tell is not None:
                    tell(checksum.count, remote.size)
        if checksum.count < remote.size:
            missing = remote.size - checksum.count
            raise HubError(f"{remote.address}: the connection ended {missing} bytes too early", again=True)

    @asynccontextmanager
    async def _opened(self, remote: Remote, start: int, count: int | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a file at its commit, from a byte on, wherever the hub keeps it."""
        url = self._hub.url(remote.address.at(remote.commit))
        until = "" if count is None else str(start + count - 1)
        span = {"Range": f"bytes={start}-{until}"} if start or until else {}
        sent = False
        for _ in range(MOST_REDIRECTS):
            headers = {**self._hub.headers(url), **span}
            async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
                if answer.status in REDIRECTS and "Location" in answer.headers:
                    target = self._hub.followed(url, answer.headers["Location"])
                    sent = sent or target.origin() != url.origin()
                    url = target
                    continue
                check(answer, remote.address, stored=sent)
                _check_span(answer, remote, start)
                yield answer
                return
        raise HubError(f"{remote.address}: the hub sends on and on")


class _Turns:
    """How often it was tried, and how long to wait before the next time."""

    def __init__(self, pause: float) -> None:
        self._pause, self.count = pause, 0

    async def another(self, address: Address, error: Exception) -> None:
        """Wait for another turn; raise the error where another would not help."""
        if isinstance(error, HubError) and not error.again:
            raise error
        self.count += 1
        said = str(error) or type(error).__name__
        if self.count >= TRIES:
            if isinstance(error, HubError):
                raise error
            raise HubError(f"{address}: the hub cannot be reached: {said}") from error
        wait = max(getattr(error, "wait", 0.0), min(self._pause * 2 ** (self.count - 1), LONGEST_PAUSE))
        log.info("%s: %s; another try in %.0f s", address, said, wait)
        await asyncio.sleep(wait)


class _Checksum:
    """The checksum of what is in a file that grows."""

    def __init__(self, remote: Remote, stream: IO[bytes]) -> None:
        self._remote = remote
        self._begin()
        if stream.seek(0, os.SEEK_END) > remote.size:
            self.restart(stream)
        stream.seek(0)
        while piece := stream.read(4 * PIECE):
            self.add(piece)

    def _begin(self) -> None:
        self.count = 0
        self._hash: Any = hashlib.sha1(usedforsecurity=False) if self._remote.git else hashlib.sha256()
        if self._remote.git:
            self._hash.update(f"blob {self._remote.size}\0".encode())

    @property
    def found(self) -> str:
        """The checksum so far."""
        return str(self._hash.hexdigest())

    def add(self, piece: bytes) -> None:
        """Take note of what was written."""
        self._hash.update(piece)
        self.count += len(piece)

    def restart(self, stream: IO[bytes]) -> None:
        """Begin anew, with an empty file."""
        stream.seek(0)
        stream.truncate()
        self._begin()


def part_of(target: Path, remote: Remote) -> Path:
    """Return the hidden file beside a target in which a file comes; that of another content has another name."""
    return target.with_name(f".{target.name[:150]}.{remote.checksum[:20]}.part")


def _breaks() -> tuple[type[Exception], ...]:
    """Return what is raised where a connection breaks, or where the hub is to be asked again."""
    import aiohttp

    return (HubError, aiohttp.ClientError, TimeoutError, ConnectionError)


def _check_span(answer: aiohttp.ClientResponse, remote: Remote, start: int) -> None:
    """Raise `HubError` unless an answer brings what was asked for."""
    if answer.status == 200:
        return
    found = re.match(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status != 206 or not found or int(found[1]) != start or found[2] not in ("*", str(remote.size)):
        raise HubError(f"{remote.address}: the hub gives another part of the file than was asked for")


def _check_room(part: Path, missing: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if missing > free:
        raise HubError(f"{part.parent}: {missing / 2**20:.0f} MiB are to come, {free / 2**20:.0f} MiB are free")


def _write(stream: IO[bytes], piece: bytes, remote: Remote) -> None:
    left = memoryview(piece)
    try:
        while left:
            left = left[stream.write(left) :]
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full; make room and pull again, it goes on where it was"
            raise HubError(f"{remote.address}: {why}") from error
        raise


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Open the file in which another comes, for this process alone."""
    with part.open("a+b", buffering=0) as stream:
        try:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # no such system: two that fetch the same would find out by the checksum
            pass
        except OSError as error:
            raise HubError(f"{part}: another process is fetching it") from error
        yield stream

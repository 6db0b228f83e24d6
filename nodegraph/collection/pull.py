"""Bring a model from the hub into the folder that it belongs in."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from uuid import uuid4

from nodegraph.collection.convert import Converted, ConvertError, check_torch, convert, umask
from nodegraph.collection.download import Downloader, Tell, downloading, part_of
from nodegraph.collection.hub import Address, Hub, HubError, Remote
from nodegraph.collection.identify import Identity, identify, identify_header
from nodegraph.collection.index import Index
from nodegraph.collection.kinds import KINDS, WEIGHTS
from nodegraph.collection.setup import Collection
from nodegraph.diffusion.weights.errors import PickledFileError, WeightsError
from nodegraph.diffusion.weights.header import FIRST, header_length, parse_header
from nodegraph.diffusion.weights.source import digest
from nodegraph.engine.folders import Folders

START: Final = 2**16
"""Bytes that are asked for first: of many files, the whole header."""
COMMON: Final = (
    *("model", "diffusion_pytorch_model", "pytorch_model", "pytorch_lora_weights"),
    *("adapter_model", "open_clip_pytorch_model", "learned_embeds"),
)
"""Names that files of many repositories have: they are called after the repository here."""


@dataclass(frozen=True)
class Wish:
    """What is asked for: a file, and where it is to be where that is not by what it is and is called."""

    address: Address
    kind: str | None = None
    name: str | None = None
    convert: bool = False
    force: bool = False


@dataclass(frozen=True)
class Pulled:
    """What came of it; `fetched` is False for a file that was here already."""

    path: Path
    kind: str
    name: str
    identity: Identity
    sha256: str
    commit: str
    fetched: bool
    left_out: tuple[str, ...] = ()


class Puller:
    """Brings files into a collection; `index` is told their checksums, `tell` how far it is."""

    def __init__(self, collection: Collection, index: Index, hub: Hub, tell: Tell | None = None) -> None:
        self._collection, self._index, self._hub, self._tell = collection, index, hub, tell

    async def pull(self, wish: Wish, *, pause: float = 1.0) -> Pulled:
        """Bring a file; raise `HubError`, `ConvertError` or a WeightsError where that cannot be, and leave nothing.

        `pause` is the time before a connection that broke is tried again.
        """
        name = wish.name or name_of(wish.address)
        Folders({}).plain(name)
        async with downloading(self._hub, pause=pause) as downloader:
            remote = await downloader.find(wish.address)
            try:
                identity = await _look(downloader, remote)
            except PickledFileError as error:
                if not wish.convert:
                    raise HubError(_pickled(wish.address)) from error
                return await self._converted(downloader, remote, wish, name)
            target = self._target(wish, identity, name)
            fetched = not self._is_there(target, remote, wish)
            if fetched:
                part = part_of(target, remote)
                target.parent.mkdir(parents=True, exist_ok=True)
                await downloader.fetch(remote, part, self._tell)
                _place(part, target, wish.force)
        sha256 = self._remember(target, remote if fetched else None)
        return Pulled(target, self._kind(wish, identity), name, identity, sha256, remote.commit, fetched)

    async def _converted(self, downloader: Downloader, remote: Remote, wish: Wish, name: str) -> Pulled:
        """Bring a pickled file, make safetensors of it, and put that in place."""
        check_torch()
        name = str(PurePosixPath(name).with_suffix(WEIGHTS[0]))
        folder = self._collection.destination(wish.kind or "checkpoints")
        folder.mkdir(parents=True, exist_ok=True)
        part = part_of(folder / PurePosixPath(wish.address.path).name, remote)
        await downloader.fetch(remote, part, self._tell)
        made = folder / f".{uuid4().hex}{WEIGHTS[0]}"
        try:
            done = self._made(part, made, wish)
            identity = identify(made)
            target = self._target(wish, identity, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            _place(made, target, wish.force)
        finally:
            made.unlink(missing_ok=True)
        part.unlink(missing_ok=True)
        sha256, kind = self._remember(target), self._kind(wish, identity)
        return Pulled(target, kind, name, identity, sha256, remote.commit, True, done.left_out)

    def _made(self, part: Path, made: Path, wish: Wish) -> Converted:
        """Make safetensors of a pickled file that came; where that cannot be, what came goes."""
        try:
            return convert(part, made)
        except ConvertError as error:
            part.unlink(missing_ok=True)
            raise ConvertError(str(error).replace(str(part), str(wish.address))) from error

    def _kind(self, wish: Wish, identity: Identity) -> str:
        kind = wish.kind or identity.kind
        if kind is None:
            told = f"{wish.address}: it cannot be told what it is ({identity.detail})"
            raise HubError(f"{told}; --kind says in which folder it belongs: {', '.join(KINDS)}")
        return kind

    def _target(self, wish: Wish, identity: Identity, name: str) -> Path:
        plain = Folders({}).plain(name)
        if any(part.startswith(".") for part in plain.split("/")):
            raise HubError(f"{plain!r} begins with a dot: such files are hidden, --name chooses another name")
        target = self._collection.destination(self._kind(wish, identity)) / plain
        if target.suffix.lower() not in WEIGHTS:
            raise HubError(f"--name: got {name!r}, expected a name that ends in {WEIGHTS[0]}")
        return target

    def _is_there(self, target: Path, remote: Remote, wish: Wish) -> bool:
        """Tell whether a file is here already; raise `HubError` where another one is in its place."""
        if not target.exists():
            return False
        alike = target.is_file() and not remote.git and target.stat().st_size == remote.size
        if alike and self._remember(target) == remote.checksum:
            return True
        if not wish.force:
            other = "--name chooses another name, --force replaces it"
            raise HubError(f"{target} is there already, and is another file; {other}")
        return False

    def _remember(self, path: Path, came: Remote | None = None) -> str:
        """Return the sha256 of a file, which is worked out once; of one that just came it was checked."""
        identity = Folders({"any": (path.parent,)}).identity("any", path.name)
        found = self._index.sha256(path, identity) if came is None else None
        if found is None:
            found = digest([path]) if came is None or came.git else came.checksum
            self._index.put_sha256(path, identity, found)
        return found


def name_of(address: Address) -> str:
    """Return what a file is called here: as there, or like its repository where many are called the same there."""
    path = PurePosixPath(address.path)
    stem = path.name.removesuffix("".join(path.suffixes[-1:]))
    if stem.split(".")[0] not in COMMON:
        return path.name
    parent = [] if str(path.parent) == "." else [path.parent.name]
    return "-".join([address.repo, *parent]) + path.name.removeprefix(stem.split(".")[0])


async def _look(downloader: Downloader, remote: Remote) -> Identity:
    """Say what a file is by its start; raise a WeightsError for one that is none of weights."""
    path = Path(PurePosixPath(remote.address.path).name)
    start = await downloader.start(remote, START)
    try:
        length = header_length(path, start[:FIRST], remote.size)
        if length + 8 > len(start):
            start = await downloader.start(remote, length + 8)
        return identify_header(parse_header(path, start[8 : length + 8], remote.size))
    except PickledFileError:
        raise
    except WeightsError as error:
        raise HubError(f"{remote.address}: {error.problem}") from error


def _pickled(address: Address) -> str:
    return (
        f"{address}: a pickled file, which could run code when it is opened: it is not fetched. Look for a "
        ".safetensors file in that repository; --convert fetches this one and makes safetensors of it, in a process of "
        "its own"
    )


def _place(part: Path, target: Path, force: bool) -> None:
    """Give a file that came whole its name; raise `HubError` where another has taken it meanwhile."""
    if target.exists() and not force:
        raise HubError(f"{target} is there already; --name chooses another name, --force replaces it")
    part.chmod(0o666 & ~umask())
    try:
        part.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        near = target.with_name(f".{uuid4().hex}.part")  # the folder lies on another disk
        try:
            shutil.copyfile(part, near)
            near.replace(target)
        finally:
            near.unlink(missing_ok=True)
        part.unlink()

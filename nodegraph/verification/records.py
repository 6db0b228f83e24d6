"""The record that a picture carries, read leniently, and compared with that of its second making."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from nodegraph.engine.spec import Json
from nodegraph.verification.report import Difference

DEVICE: Final = ("device", "device_name", "dtype")
_READ: Final = frozenset(
    {"engine", "libraries", "files", "file_sizes", "extensions", "nodes", "picture", "settings", *DEVICE}
)


@dataclass(frozen=True)
class Node:
    """A node as a record tells of it."""

    id: str
    type: str = ""
    version: str = ""
    plugin: str = ""
    """The plugin's name and version, with a blank between them."""


@dataclass(frozen=True)
class Record:
    """What made a picture; of records of other versions, what is known here."""

    engine: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)
    device: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """`kind/name` -> sha256."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)
    """Samplers and schedulers of plugins -> the plugin's name and version."""
    nodes: tuple[Node, ...] = ()
    index: int = 0
    """The picture's place among those that its node saved."""
    origin: Json = None
    more: Mapping[str, Json] = field(default_factory=dict)
    """Settings of the run, and what else stands in it."""

    @property
    def saver(self) -> str | None:
        """Return the id of the node that saved the picture."""
        return self.nodes[-1].id if self.nodes else None


def read_record(value: Json) -> Record | None:
    """Return the record that stands in a picture; None where there is none."""
    if not isinstance(value, Mapping):
        return None
    picture = value.get("picture")
    picture = picture if isinstance(picture, Mapping) else {}
    index = picture.get("index", 0)
    nodes = value.get("nodes")
    entries = nodes if isinstance(nodes, list) else []
    sizes = value.get("file_sizes")
    return Record(
        engine=str(value.get("engine", "")),
        libraries=_texts(value.get("libraries")),
        device={name: str(value[name]) for name in DEVICE if name in value},
        files=_texts(value.get("files")),
        sizes={k: v for k, v in sizes.items() if type(v) is int} if isinstance(sizes, Mapping) else {},
        extensions=_texts(value.get("extensions")),
        nodes=tuple(_node(entry) for entry in entries if isinstance(entry, Mapping)),
        index=index if type(index) is int and index >= 0 else 0,
        origin=picture.get("origin"),
        more={**_settings(value.get("settings")), **{str(k): v for k, v in value.items() if k not in _READ}},
    )


def _settings(value: Json) -> dict[str, Json]:
    return {str(name): entry for name, entry in value.items()} if isinstance(value, Mapping) else {}


def _texts(value: Json) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, Mapping) else {}


def _node(entry: Mapping[str, Json]) -> Node:
    return Node(*(str(entry.get(name, "")) for name in ("id", "type", "version", "plugin")))


def compare_records(then: Record, now: Record) -> tuple[Difference, ...]:
    """Return what differs between two records; what the older one did not tell yet is left out."""
    return (*_versions(then, now), *_device(then, now), *_files(then, now), *_nodes(then, now), *_rest(then, now))


def _versions(then: Record, now: Record) -> Iterator[Difference]:
    if then.engine and then.engine != now.engine:
        yield Difference("version", "nodegraph", _bare(then.engine), _bare(now.engine))
    for name, version in then.libraries.items():
        if now.libraries.get(name) != version:
            yield Difference("version", name, version, now.libraries.get(name))
    before, after = _plugins(then), _plugins(now)
    for name, version in before.items():
        if name in after and after[name] != version:
            yield Difference("plugin", f"plugin {name}", version, after[name])


def _bare(engine: str) -> str:
    return engine.removeprefix("nodegraph ")


def _plugins(record: Record) -> dict[str, str]:
    """Return the versions of the plugins whose nodes or samplers took part; our own have nodegraph's."""
    pairs = (told.partition(" ") for told in (*(node.plugin for node in record.nodes), *record.extensions.values()))
    return {name: version for name, _, version in pairs if name and name != "nodegraph.nodes"}


def _device(then: Record, now: Record) -> Iterator[Difference]:
    for name, value in then.device.items():
        if now.device.get(name) != value:
            yield Difference("device", name.replace("_", " "), value, now.device.get(name))


def _files(then: Record, now: Record) -> Iterator[Difference]:
    for name in {**then.files, **now.files}:
        if then.files.get(name) != now.files.get(name):
            yield Difference("file", name, _sha(then.files.get(name)), _sha(now.files.get(name)))


def _sha(digest: str | None) -> str | None:
    return None if digest is None else f"sha256 {digest}"


def _nodes(then: Record, now: Record) -> Iterator[Difference]:
    before, after = ({node.id: node for node in record.nodes} for record in (then, now))
    for id in {**before, **after}:
        old, new = before.get(id), after.get(id)
        if old is None or new is None:
            yield Difference("node", f"node {id}", old and old.type, new and new.type)
        elif old.type != new.type:
            yield Difference("node", f"node {id}", old.type, new.type)
        elif old.version != new.version:
            yield Difference("node", f"node {id} ({old.type})", f"version {old.version}", f"version {new.version}")
        elif old.plugin.partition(" ")[0] != new.plugin.partition(" ")[0]:
            yield Difference("node", f"node {id} ({old.type})", f"of {old.plugin}", f"of {new.plugin}")


def _rest(then: Record, now: Record) -> Iterator[Difference]:
    for name, value in then.more.items():
        if now.more.get(name) != value:
            yield Difference("setting", name, value, now.more.get(name))
    if then.origin != now.origin:
        yield Difference("origin", "seed and place in the batch", then.origin, now.origin)

"""How a server is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Limits:
    """What a client may ask for at most; what is beyond is refused with the limit named."""

    body: int = 8 * 2**20
    """Bytes of a JSON body."""
    upload: int = 128 * 2**20
    """Bytes of an uploaded file."""
    pixels: int = 64 * 2**20
    """Of an uploaded picture, all frames together."""
    frames: int = 500
    depth: int = 100
    """Of lists and objects within each other, in JSON."""
    nodes: int = 10_000
    """Of a workflow, subgraphs dissolved."""
    queued: int = 20_000
    """Jobs of a user that are not final."""
    batch: int = 10_000
    """Items of a batch."""
    sockets: int = 512
    """Event streams open at once, of all users."""
    sockets_each: int = 256
    """Event streams open at once, of one user."""
    uploads: int = 8
    """Uploads at once."""
    read_seconds: float = 20.0
    """For a request's head and body to come in."""
    history: int = 10_000
    """Final jobs that are kept; older ones are pruned, with their previews but not their outputs."""


@dataclass(frozen=True)
class Settings:
    """What `nodegraph serve` was asked for.

    `data` holds everything that the server writes: the store, outputs, inputs, workflows, results. `devices` names one
    worker each (empty: one for each device that the machine has); `open_access` asks nobody for a token.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8188
    models: tuple[Path, ...] = ()
    folders: Mapping[str, tuple[Path, ...]] | None = None
    """All folders of models by kind, those below `models` among them (None: `models`, then the standard ones)."""
    input: tuple[Path, ...] = ()
    """Further folders of pictures that workflows may load; never written to."""
    devices: tuple[str, ...] = ()
    workers: int | None = None
    """How many workers there are, spread over the devices (None: one a device)."""
    dtype: str | None = None
    open_access: bool = False
    token: str | None = None
    """The owner's token, where it is given from outside; None: one is made."""
    hosts: tuple[str, ...] = ()
    """Further names, beside loopback and the address listened on, that a request's Host may have."""
    webhooks: tuple[str, ...] = ()
    """`host` or `host:port` that webhooks may call; empty: none, the server calls nobody."""
    plugins: bool = True
    """Whether plugins of other distributions are loaded."""
    preload: bool = True
    """Whether workers import torch before their first job."""
    metadata: bool = True
    strict: bool = False
    """Whether what a node warns of, such as a black picture, is a failure."""
    preview: Literal["auto", "colors", "taesd", "none"] = "auto"
    """How latents are shown while they are sampled (`workers.tiny_previews`)."""
    memory: int | None = None
    """Bytes of results that each worker keeps in RAM (None: its share of half of it)."""
    network_memory: int | None = None
    """Bytes that networks may take in each worker, on the device they run on (None: its share of what there is)."""
    compile: bool = False
    """Whether torch's compiler makes networks faster."""
    disk: int = 4 * 2**30
    """Bytes of results kept on disk, shared by all workers."""
    reserve: int = 64 * 2**20
    """Free bytes on the disk of `data` below which the queue pauses by itself."""
    cancel_seconds: float = 5.0
    """How long a worker may take to heed a cancel before it is killed."""
    grace: float = 10.0
    """Seconds that a stop may take."""
    limits: Limits = field(default_factory=Limits)

    @property
    def loopback(self) -> bool:
        """Tell whether only this machine can reach the server."""
        return self.host in ("127.0.0.1", "::1", "localhost")

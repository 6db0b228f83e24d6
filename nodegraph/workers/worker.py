"""A worker process: runs jobs on one device, in its main thread, while others read, write and encode previews."""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nodegraph.engine.context import CancelToken
from nodegraph.engine.errors import WorkflowError
from nodegraph.machine import calm_threads, total_memory
from nodegraph.server.protocol import Header
from nodegraph.workers.channel import Channel
from nodegraph.workers.memory import resident
from nodegraph.workers.setup import redactor, versions

log = logging.getLogger(__name__)
PATIENCE: Final = 10.0
"""Seconds that a plan may wait for its turn; whoever asked has given up then."""
GPU_FILES: Final = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")
"""What a Linux machine with a GPU has; without one torch need not be imported to know that there is none."""


def serve(channel: Channel) -> None:
    """Run the jobs that the server sends until it has gone."""
    worker = Worker(channel)
    config = channel.start(worker.receive)
    try:
        worker.begin(config)
    except Exception as error:
        log.exception("this worker cannot begin")
        channel.tell("broken", reason=redactor(config)(f"{type(error).__name__}: {error}"))
        channel.flush()
        os._exit(4)
    while True:
        worker.run_next()


class Worker:
    """What the threads share: the calls that wait, the job that runs, whether previews are wanted."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._calls: queue.SimpleQueue[tuple[int, dict[str, Any], bytes, CancelToken]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._tokens: dict[str, CancelToken] = {}
        self._job: str | None = None
        self._previews_on = False
        self._runner: Any = None
        self._plans: queue.SimpleQueue[tuple[int, dict[str, Any], bytes, float]] = queue.SimpleQueue()

    def receive(self, header: Header, payload: bytes) -> None:
        """Take a frame of the server's; called by the thread that reads."""
        if "call" in header:
            self._called(header, payload)
        elif header.get("tell") == "cancel":
            with self._lock:
                token = self._tokens.get(header["job"])
            if token is not None:
                token.cancel()
        elif header.get("tell") == "previews":
            self._previews_on = bool(header["on"])
            if self._runner is not None:
                self._runner.previews.on = self._previews_on

    def _called(self, header: Header, payload: bytes) -> None:
        number, method, params = header["call"], header["method"], header.get("params") or {}
        if method == "run":
            with self._lock:
                token = self._tokens[params["job"]] = CancelToken()
            self._calls.put((number, params, payload, token))
        elif method == "plan":
            self._plans.put((number, params, payload, time.monotonic()))
        elif method == "ping":
            self._channel.reply(number, {"job": self._job})
        else:
            self._channel.refuse(number, "unknown_method", f"a worker answers no {method!r}")

    def begin(self, config: Mapping[str, Any]) -> None:
        """Find the device, say that the worker is ready, then load what jobs need."""
        calm_threads()
        found = devices(config["device"])
        device = config["device"] or found[0]["id"]
        self._channel.tell("ready", device=device, devices=found, versions=versions())
        self._channel.beat(self._beat)
        from nodegraph.workers.jobs import Jobs

        self._runner = Jobs({**config, "device": device}, self._channel)
        self._runner.previews.on = self._previews_on
        if config["preload"]:
            _preload(device, config["workers"])
        threading.Thread(target=self._plan_all, name="plan", daemon=True).start()
        self._channel.tell("warm")

    def run_next(self) -> None:
        """Wait for a job and run it."""
        number, params, payload, token = self._calls.get()
        job = params["job"]
        self._job = job
        try:
            self._channel.reply(number, self._runner.run(params, payload, token))
        except BaseException as error:  # whatever it is, the job has an end and the worker goes on
            log.exception("job %s ended in an error of the worker's own", job)
            self._channel.refuse(number, "internal", f"{type(error).__name__} outside of any node")
        finally:
            self._job = None
            with self._lock:
                if self._tokens.get(job) is token:
                    del self._tokens[job]

    def _plan_all(self) -> None:
        """Tell what runs would do, one after the other, beside the job that runs."""
        while True:
            number, params, payload, asked = self._plans.get()
            try:
                if time.monotonic() - asked > PATIENCE:
                    self._channel.refuse(number, "too_slow", "nobody waits for this any more")
                    continue
                self._channel.reply(number, self._runner.plan(params, payload))
            except WorkflowError as error:
                problems = self._runner.problems(error)
                self._channel.refuse(number, "invalid_workflow", problems[0]["message"], problems)
            except BaseException as error:
                log.exception("a plan failed")
                self._channel.refuse(number, "internal", f"{type(error).__name__} while a run was planned")

    def _beat(self) -> Header:
        return {"tell": "heartbeat", "memory": resident(), "job": self._job}


def devices(wanted: str | None) -> list[dict[str, Any]]:
    """Return the devices that jobs run on: the one that is wanted, else the machine's GPUs, else its processor.

    Raise `ValueError` where the one that is wanted cannot be used.
    """
    if wanted == "cpu" or (wanted is None and not _may_have_gpu()):
        return [_processor()]
    import torch

    from nodegraph.diffusion.devices import parse_device

    if wanted is not None:
        parse_device(wanted)
    found = []
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            found.append({"id": f"cuda:{index}", "name": properties.name, "memory": properties.total_memory})
    if torch.backends.mps.is_available():
        found.append({"id": "mps", "name": "Apple GPU", "memory": total_memory()})
    return found or [_processor()]


def _may_have_gpu() -> bool:
    return sys.platform != "linux" or any(Path(name).exists() for name in GPU_FILES)


def _processor() -> dict[str, Any]:
    return {"id": "cpu", "name": _processor_name(), "memory": total_memory()}


def _processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("model name")]
    return names[0] if names else "processor"


def _preload(device: str, workers: int) -> None:
    """Import what the first job would wait for; workers on the processor share its cores."""
    import torch

    import nodegraph.diffusion.loading
    import nodegraph.diffusion.sampling.ksampler  # noqa: F401

    if device == "cpu" and workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))

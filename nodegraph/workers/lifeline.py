"""How a child process begins: tied to its parent's life, its pipes out of reach of what nodes print and read."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import signal
import sys

from nodegraph.workers.channel import Channel

PR_SET_PDEATHSIG = 1


def begin(parent: int) -> Channel:
    """Tie this process to its parent's life and return the channel to it.

    The pipes move to other descriptors: what is printed goes to stderr, which is the log, and who reads stdin finds
    nothing there. An interrupt from the terminal is the parent's to heed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    take, give = os.dup(0), os.dup(1)
    os.set_inheritable(take, False)
    os.set_inheritable(give, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    faulthandler.enable()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    return Channel(take, give)


def _die_with(parent: int) -> None:
    """Have the system end this process when its parent ends, however that happens; Linux alone can."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if sys.platform != "win32" and os.getppid() != parent:
        os._exit(0)

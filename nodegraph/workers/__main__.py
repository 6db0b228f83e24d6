"""`python -m nodegraph.workers host|worker PID`: a child of the server whose process has that id."""

from __future__ import annotations

import sys

from nodegraph.workers.lifeline import begin


def main() -> None:
    """Begin as the child that the server asked for; returns when the server has gone."""
    role, parent = sys.argv[1], int(sys.argv[2])
    channel = begin(parent)
    if role == "host":
        from nodegraph.workers.host import serve
    else:
        from nodegraph.workers.worker import serve
    serve(channel)


if __name__ == "__main__":
    main()

"""Let `python -m nodegraph` be the command line."""

from __future__ import annotations

import sys

from nodegraph.cli import main

if __name__ == "__main__":
    sys.exit(main())

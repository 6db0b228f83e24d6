"""The options of the commands that ask a running server: `submit` and `jobs`."""

from __future__ import annotations

import argparse
from pathlib import Path

from nodegraph.cli.operating_arguments import add_data

SUBMIT_EXAMPLES = """examples:
  nodegraph submit picture.json --set prompt="a red circle" --seed 7 --output pictures
  nodegraph submit picture.json --no-wait
  nodegraph submit picture.json --server https://pictures.example.org --token-file token
"""
STATES = ("queued", "running", "waiting", "done", "failed", "cancelled")
ACTIONS = (
    ("list", "list jobs, newest first"),
    ("show", "tell all about a job"),
    ("cancel", "cancel jobs; those that have ended stay as they are"),
    ("retry", "queue ended jobs again"),
    ("answer", "answer what a waiting job asks"),
    ("delete", "remove ended jobs; what they made stays, unless --outputs is given"),
    ("export", "write jobs out, one JSON object a line"),
    ("import", "read exported jobs: ended ones become history, others are queued"),
)


def fill_submit(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph submit`."""
    parser.epilog = f"{SUBMIT_EXAMPLES}\n{parser.epilog}"
    add_server(parser)
    parser.add_argument("--output", metavar="DIR", type=Path, help="fetch what the job made into this folder")
    parser.add_argument(
        "--no-wait", dest="wait", action="store_false", help="write the job's id and do not wait for its end"
    )
    parser.add_argument(
        "--answer",
        metavar="NODE=VALUE",
        dest="answers",
        type=node_value,
        action="append",
        default=[],
        help="answer what a node asks a person; without it you are asked on the terminal, if there is one",
    )
    parser.add_argument(
        "--name", metavar="TEXT", default="", help="what the job is called in lists (default: its file)"
    )
    parser.add_argument(
        "--priority", metavar="N", type=int, default=0, help="the higher runs first among your own jobs (default: 0)"
    )
    parser.add_argument("--json", action="store_true", help="write the job as JSON at the end")


def fill_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the options of `nodegraph jobs`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary in ACTIONS:
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        add_server(action)
        if name in ("cancel", "retry", "delete"):
            action.add_argument("jobs", metavar="JOB", nargs="+", help="ids of jobs")
        elif name in ("show", "answer"):
            action.add_argument("job", metavar="JOB", help="the job's id")
        if name in ("list", "export"):
            action.add_argument(
                "--state", choices=STATES, action="append", default=[], help="only jobs in this state; may be repeated"
            )
    by_name = actions.choices
    by_name["list"].add_argument("--text", default="", help="only jobs with this in their name, prompts or failure")
    by_name["list"].add_argument("--limit", metavar="N", type=_count, default=30, help="how many (default: 30)")
    for name in ("list", "show"):
        by_name[name].add_argument("--json", action="store_true", help="write the answer as JSON")
    by_name["answer"].add_argument(
        "answers", metavar="NODE=VALUE", type=node_value, nargs="+", help="one of the choices, or JSON"
    )
    by_name["delete"].add_argument("--outputs", action="store_true", help="remove the files too that the jobs made")
    by_name["export"].add_argument("file", metavar="FILE", nargs="?", default="-", help="the file (default: stdout)")
    by_name["import"].add_argument("file", metavar="FILE", help="the file; - reads stdin")


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add the options that tell which server is asked."""
    group = parser.add_argument_group("server")
    group.add_argument(
        "--server", metavar="URL", help="the server's address (default: that of the server that runs on this machine)"
    )
    group.add_argument(
        "--token-file", metavar="FILE", type=Path, help="a file with the token (default: NODEGRAPH_TOKEN, if it is set)"
    )
    add_data(parser)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above 0")
    return int(text)


def node_value(text: str) -> tuple[str, str]:
    """Return the node and the text of an answer."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected NODE=VALUE, such as look=yes")
    return name.strip(), value

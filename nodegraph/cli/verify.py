"""`nodegraph verify`: make pictures again from what they carry, and tell what differs."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.cli import files
from nodegraph.cli.displays import display
from nodegraph.cli.exits import CommandError, Exit
from nodegraph.cli.interrupts import cancelling
from nodegraph.cli.output import Results
from nodegraph.cli.questions import Person
from nodegraph.engine.context import CancelToken
from nodegraph.verification.report import Report
from nodegraph.verification.verify import Verifier, Wish

if TYPE_CHECKING:
    from nodegraph.runtime import Options


def main(options: argparse.Namespace) -> Exit:
    """Verify pictures, each told of as soon as it is known."""
    results, reports, token = Results(sys.stdout), list[Report](), CancelToken()
    # What nodes and libraries print is no result.
    with contextlib.redirect_stdout(sys.stderr):
        screen = display(False, token)
        with cancelling(token, announce=not screen.drawn), screen:
            person = Person(options.answers, screen, token, terminal=False)
            wish = Wish(options.tolerance, options.strict, options.keep)
            verifier = Verifier(_options(options), wish, screen.show, token, person, _tell)
            for report in verifier.verify(_once(options.files)):
                reports.append(report)
                if not options.json:
                    with screen.paused():
                        for line in _lines(report):
                            results.line(line)
    if options.json:
        results.json([report.as_json() for report in reports])
    verdicts = {report.verdict for report in reports}
    return Exit.USAGE if "cannot" in verdicts else Exit.FAILED if "differs" in verdicts else Exit.DONE


def _options(options: argparse.Namespace) -> Options:
    if options.device is not None:
        from nodegraph.diffusion.devices import parse_device

        try:
            parse_device(options.device)
        except ValueError as error:
            raise CommandError(f"--device: {error}", Exit.USAGE) from error
    more = {name: getattr(options, name) for name in ("device", "dtype", "network_memory", "compile")}
    return files.open_runtime(options, **more).options


def _once(files: list[Path]) -> list[Path]:
    return list(dict.fromkeys(files))


def _tell(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _lines(report: Report) -> list[str]:
    """Return a report in words: the verdict, then what else is to be said, a line each."""
    told = report.reason or str(report.pixels)
    if report.verdict == "cannot":
        head, *rest = f"cannot be verified: {told}".splitlines()
    elif report.verdict == "same" and report.pixels is not None and not report.pixels.same:
        head, rest = f"same within the tolerance: {told}", []
    else:
        head, rest = f"{report.verdict}: {told}", []
    if report.verdict == "differs" and report.pixels is not None and report.pixels.same:
        head += " is the same, but not what made it"
    if report.node is not None and report.saved > 1 and report.index is not None:
        rest.append(f"picture {report.index + 1} of {report.saved} that {report.node} saved")
    rest += [str(difference) for difference in report.differences]
    rest += report.notes
    rest += [f"kept: {path}" for path in report.kept]
    return [f"{report.picture}: {head}", *(f"  {line}" for line in rest)]

"""What a node is told of its run, and how it tells of its progress. `Context()` works alone, as in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.engine import events
from nodegraph.engine.errors import Cancelled, StrictError
from nodegraph.engine.questions import NO_ANSWERS, Answers, Question, answer
from nodegraph.engine.recipe import FLEETING
from nodegraph.engine.spec import Json

if TYPE_CHECKING:
    from nodegraph.engine.folders import Folders
    from nodegraph.engine.marks import Mentions

Emit = Callable[[events.Event], object]


class CancelToken:
    """Asks a run to stop. Any thread, or a signal handler, may cancel; it cannot be taken back."""

    __slots__ = ("_cancelled", "_listeners")

    def __init__(self) -> None:
        self._cancelled = False
        self._listeners: tuple[Callable[[], object], ...] = ()

    @property
    def cancelled(self) -> bool:
        """Tell whether the run shall stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Ask the run to stop; more than once is once."""
        if self._cancelled:
            return
        # No lock: a signal handler may interrupt anything, a holder of the lock too.
        self._cancelled = True
        for listener in self._listeners:
            listener()

    def check(self) -> None:
        """Raise `Cancelled` if the run shall stop."""
        if self._cancelled:
            raise Cancelled("the run was cancelled")

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` on cancel (at once, if that has been); return what takes it off again."""
        self._listeners = (*self._listeners, listener)
        if self._cancelled:
            listener()

        def forget() -> None:
            self._listeners = tuple(known for known in self._listeners if known is not listener)

        return forget


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A node that a result was made from, for the record in a saved picture."""

    id: str
    type: str
    version: str
    plugin: str
    plugin_version: str
    params: Mapping[str, Any] = field(default_factory=dict)
    """Every parameter, defaults included; what came by wire is left out."""
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Input name -> the file that it names, as its kind of folder and its name there."""
    mentions: tuple[Mentions, ...] = ()
    """How its texts name files: texts upstream of it, which came by wire, may do so too."""


def _nothing() -> tuple[Ancestor, ...]:
    return ()


class Context:
    """What a node is told of its run.

    `node` is the node's id, `recipe` the name of its result (empty where it has none), `document` is the workflow as
    it was given. `settings` are those of the run: all of them for a node that runs each time, those that it declares
    (`@node(..., settings=["device"])`) for one whose result is kept, as they are part of the result's name.
    """

    __slots__ = (
        "_answers", "_cancel", "_emit", "_folders", "_note", "_strict", "_upstream", "document", "node", "recipe",
        "settings",
    )  # fmt: skip

    def __init__(
        self,
        node: str = "",
        *,
        recipe: str = "",
        settings: Mapping[str, Json] | None = None,
        folders: Folders | None = None,
        document: Mapping[str, Json] | None = None,
        cancel: CancelToken | None = None,
        emit: Emit | None = None,
        upstream: Callable[[], tuple[Ancestor, ...]] = _nothing,
        answers: Answers = NO_ANSWERS,
        strict: bool = False,
        note: Callable[[str], object] | None = None,
    ) -> None:
        self.node, self.recipe = node, recipe
        self.settings: Mapping[str, Json] = {} if settings is None else settings
        self.document: Mapping[str, Json] = {} if document is None else document
        self._folders, self._cancel, self._emit, self._upstream = folders, cancel, emit, upstream
        self._answers, self._strict, self._note = answers, strict, note

    @property
    def folders(self) -> Folders:
        """Return the folders that hold models, inputs and outputs; raise `LookupError` where the run has none."""
        if self._folders is None:
            raise LookupError(f"node {self.node!r} needs folders, and this run was given none")
        return self._folders

    @property
    def cancelled(self) -> bool:
        """Tell whether the run shall stop, for a node that must tidy up by itself."""
        return self._cancel is not None and self._cancel.cancelled

    def check_cancelled(self) -> None:
        """Raise `Cancelled` if the run shall stop."""
        if self._cancel is not None:
            self._cancel.check()

    def progress(self, value: float, total: float, message: str = "") -> None:
        """Tell that `value` of `total` is done; raise `Cancelled` if the run shall stop."""
        self.check_cancelled()
        if self._emit is not None:
            self._emit(events.Progress(self.node, value, total, message))

    def warn(self, message: str) -> None:
        """Tell that what the node gives is hardly what was wanted; raise `StrictError` where a run is `strict`.

        A node whose result is found in the cache is not called, and warns of nothing: what must never go unseen is
        looked for by sinks too.
        """
        if self._strict:
            raise StrictError(message)
        if self._note is not None:
            self._note(message)
        if self._emit is not None:
            self._emit(events.Warned(self.node, message))

    @property
    def listening(self) -> bool:
        """Tell whether anybody gets previews, so that nobody makes them for nothing."""
        return self._emit is not None

    def preview(self, value: object) -> None:
        """Show what there is so far, such as an image or a latent."""
        if self._emit is not None:
            self._emit(events.Preview(self.node, value))

    def output(self, file: Path, value: object = None) -> None:
        """Tell of a file that the node has written, and of the value that it shows."""
        if self._emit is not None:
            self._emit(events.Output(self.node, file, value))

    @property
    def answered(self) -> bool:
        """Tell whether `ask` has an answer already, so that nobody needs to see what the question is about."""
        return isinstance(self._answers, Mapping) and self.node in self._answers

    def ask(self, question: str, choices: Sequence[Json] = ()) -> Json:
        """Return a person's answer, one of `choices` where there are any; raise `Waiting` where there is none yet.

        The run then goes on without this node and what needs it. A later run that has the answer calls the node again
        from its beginning. A node asks one question, as answers are known by node; and only a node that runs each time
        (`cache=False`, or a sink) may ask, as an answer is no part of a result's name.
        """
        if self.recipe and self.recipe[0] != FLEETING:
            raise RuntimeError("a node that asks must be marked `cache=False`: its result depends on the answer")
        return answer(self._answers, Question(self.node, question, tuple(choices)))

    def upstream(self) -> tuple[Ancestor, ...]:
        """Return the nodes that this one's inputs were made from, sources first, this node last."""
        return self._upstream()

"""A network with options on it: what they hook themselves to, and what they are told of its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from nodegraph.diffusion.options.places import SelfAttention, self_attentions
from nodegraph.diffusion.sampling.contract import Call, Table

if TYPE_CHECKING:
    from nodegraph.diffusion.values import Model

Inputs = tuple[Any, ...]
Around = tuple[Inputs, Callable[[Tensor], Tensor]]
"""The inputs to go on with, and what is done to the output that they lead to."""
Run = Callable[[Tensor], Tensor]
Over = Callable[[Run, Tensor], Tensor]


class NetworkOption(Protocol):
    """A frozen value that acts inside a network; a model carries such options."""

    @property
    def rank(self) -> int:
        """Return its place among others that act on the same part: the lowest goes about all others."""
        ...

    @property
    def whole(self) -> bool:
        """Tell whether it must see all of a batch in one call, which then is not split where memory runs out."""
        ...

    def put_on(self, scene: Scene, /) -> None:
        """Hook itself to the network; raise ValueError, telling what would fit, for one that it cannot act on."""
        ...


def with_option(model: Model, option: NetworkOption, *, beside: bool = False) -> Model:
    """Return the model with an option more, which takes the place of one of its kind, or acts beside it."""
    kept = (other for other in model.options if beside or type(other) is not type(option))
    return replace(model, options=(*kept, option))


@dataclass
class Stage:
    """What guidance and the options of a run tell one another, however often the network is lent for it.

    `call` is what the present call is for; `notes` are what options leave for rules, cleared at each noise level, and
    `memory` what they keep for themselves from level to level, each under its type.
    """

    call: Call = field(default_factory=Call)
    notes: dict[str, Any] = field(default_factory=dict)
    memory: dict[type, Any] = field(default_factory=dict)


class Scene:
    """A network that is lent, to be called as itself; what is hooked to it acts within these calls alone.

    `size` has the sides (h, w) of the present call's sample in latent cells.
    """

    def __init__(self, module: nn.Module, table: Table, stage: Stage) -> None:
        self.module, self.table, self.stage = module, table, stage
        self.size = (0, 0)
        self._handles: list[RemovableHandle] = []
        self._over: list[Over] = []
        self._thread: int | None = None

    def __call__(self, x: Tensor, timestep: Tensor, **inputs: Any) -> Tensor:
        """Call the network for x (B, C, h, w)."""
        self.size = (x.shape[-2], x.shape[-1])
        run: Run = partial(self._run, timestep, inputs)
        for around in reversed(self._over):
            run = partial(around, run)
        return run(x)

    def _run(self, timestep: Tensor, inputs: Mapping[str, Any], x: Tensor) -> Tensor:
        self._thread = threading.get_ident()
        try:
            output: Tensor = self.module(x, timestep, **inputs)
        finally:
            self._thread = None
        return output

    @property
    def call(self) -> Call:
        """What the present call is for."""
        return self.stage.call

    @property
    def notes(self) -> dict[str, Any]:
        """What is left for the rules of guidance."""
        return self.stage.notes

    @property
    def here(self) -> bool:
        """Tell whether the network runs in a call of this scene; others may use it at the same time."""
        return self._thread == threading.get_ident()

    def within(self, start: float, end: float) -> bool:
        """Tell whether the call is between two shares of the sampling done, 0 its start and 1 its end."""
        return self.table.percent_to_sigma(end) <= self.call.sigma <= self.table.percent_to_sigma(start)

    @cached_property
    def self_attentions(self) -> list[SelfAttention]:
        """Return where the network's tokens attend to one another; their grids are kept up to date."""
        found = self_attentions(self.module)
        for place in found:
            self.before(place.holder, place.look)
        return found

    def before(self, module: nn.Module, change: Callable[..., Inputs | None]) -> None:
        """Let `change` be called with a module's inputs; what it returns goes in, None: the inputs as they are."""

        def hook(module: nn.Module, inputs: Inputs) -> Inputs | None:
            return change(*inputs) if self.here else None

        self._handles.append(module.register_forward_pre_hook(hook))

    def after(self, module: nn.Module, change: Callable[..., Tensor | None]) -> None:
        """Let `change` be called with a module's output and inputs; what it returns comes out, None: the output."""

        def hook(module: nn.Module, inputs: Inputs, output: Tensor) -> Tensor | None:
            return change(output, *inputs) if self.here else None

        self._handles.append(module.register_forward_hook(hook))

    def around(self, module: nn.Module, enter: Callable[..., Around | None]) -> None:
        """Let `enter` be called with a module's inputs and change them and the output; what comes first goes about."""
        leaving: list[Callable[[Tensor], Tensor]] = []

        def before(module: nn.Module, inputs: Inputs) -> Inputs | None:
            if not self.here:
                return None
            leaving.clear()  # of a call that was broken off
            changed = enter(*inputs)
            if changed is None:
                return None
            leaving.append(changed[1])
            return changed[0]

        def after(module: nn.Module, inputs: Inputs, output: Tensor) -> Tensor | None:
            return leaving.pop()(output) if leaving and self.here else None

        self._handles.append(module.register_forward_pre_hook(before))
        self._handles.append(module.register_forward_hook(after, prepend=True))

    def over(self, around: Over) -> None:
        """Let `around` be called in place of the network, with what runs it for x, and x."""
        self._over.append(around)

    def clear(self) -> None:
        """Leave the network as it was."""
        self._over.clear()
        while self._handles:
            self._handles.pop().remove()


@contextmanager
def staged(
    module: nn.Module, options: Sequence[NetworkOption], table: Table, stage: Stage | None = None
) -> Iterator[Scene]:
    """Put options on a network, and take them off again; None: they are told nothing but what the network is given."""
    scene = Scene(module, table, stage or Stage())
    try:
        for option in sorted(options, key=lambda option: option.rank):
            option.put_on(scene)
        yield scene
    finally:
        scene.clear()

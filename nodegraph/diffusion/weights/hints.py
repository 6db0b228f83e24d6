"""What shapes cannot tell about a model: heads, groups, scales, prediction; stored as JSON with the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from nodegraph.diffusion.values import Colors, DiffusionSchedule, EdmSchedule, FlowSchedule, LatentFormat, Prediction
from nodegraph.diffusion.weights.errors import MetadataError

KEY = "nodegraph.config"
"""The name of our settings in a safetensors file's metadata."""

Schedule = DiffusionSchedule | FlowSchedule | EdmSchedule
SCHEDULES: dict[str, type[Schedule]] = {"diffusion": DiffusionSchedule, "flow": FlowSchedule, "edm": EdmSchedule}


@dataclass(frozen=True)
class Hints:
    """Settings by section (`unet`, `vae`, `clip`, `schedule`) and, under no section, `family` and `prediction`."""

    path: Path
    values: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, path: Path, metadata: Mapping[str, str]) -> Hints:
        """Read them from a safetensors file's metadata; raise MetadataError for what is not a JSON object."""
        if KEY not in metadata:
            return cls(path)
        try:
            values = json.loads(metadata[KEY])
        except (ValueError, RecursionError) as error:
            raise MetadataError(path, f"metadata {KEY!r} is not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise MetadataError(path, f"metadata {KEY!r}: expected a JSON object, got {type(values).__name__}")
        return cls(path, values)

    def whole(self, section: str, name: str, default: int) -> int:
        """Return a whole number of at least 1."""
        value = self._get(section, name, default)
        if type(value) is not int or value < 1:
            raise self._wrong(section, name, value, "a whole number from 1 up")
        return value

    def number(self, section: str, name: str, default: float, above: float = -1e30) -> float:
        """Return a finite number greater than `above`."""
        value = self._get(section, name, default)
        if type(value) not in (int, float) or not above < value < 1e30:
            raise self._wrong(section, name, value, "a number" if above < 0 else f"a number above {above:g}")
        return float(value)

    def choice(self, section: str, name: str, choices: tuple[str, ...], default: str) -> str:
        """Return one of `choices`."""
        value = self._get(section, name, default)
        if value not in choices:
            raise self._wrong(section, name, value, f"one of {', '.join(choices)}")
        return str(value)

    def colors(self, section: str, name: str, channels: int) -> Colors:
        """Return three finite numbers a channel and three more; none at all where nothing is told."""
        value = self._get(section, name, [])
        told = isinstance(value, list | tuple) and len(value) in (0, channels + 1)
        if not told or not all(isinstance(row, list | tuple) and list(map(_plain, row)) == [True] * 3 for row in value):
            raise self._wrong(section, name, value, f"a list of {channels + 1} lists of three numbers")
        return tuple((float(red), float(green), float(blue)) for red, green, blue in value)

    def has(self, section: str, name: str) -> bool:
        """Tell whether a setting is there and not null."""
        return self._get(section, name, None) is not None

    def prediction(self, default: Prediction) -> Prediction:
        """Return what the network predicts."""
        return self.choice("", "prediction", get_args(Prediction), default)  # type: ignore[return-value]

    def schedule(self, default: Schedule) -> Schedule:
        """Return the noise levels that the network was trained at; fields that are not told are the default's."""
        if "schedule" not in self.values:
            return default
        kinds = {kind: name for name, kind in SCHEDULES.items()}
        kind = SCHEDULES[self.choice("schedule", "kind", tuple(SCHEDULES), kinds[type(default)])]
        base = default if isinstance(default, kind) else kind()
        settings = {name: self._like(kind, name, value) for name, value in asdict(base).items()}
        try:
            return kind(**settings)
        except ValueError as error:
            raise MetadataError(self.path, f"setting schedule: {error}") from error

    def latent(self, default: LatentFormat) -> LatentFormat:
        """Return what the network sees of latents; what is not told is the default's."""
        channels = self.whole("latent", "channels", default.channels)
        scale, shift = (self.number("latent", name, getattr(default, name)) for name in ("scale", "shift"))
        return LatentFormat(channels, scale, shift, self.colors("latent", "colors", channels) or default.colors)

    def _like(self, kind: type[Schedule], name: str, default: Any) -> Any:
        if isinstance(default, bool):
            value = self._get("schedule", name, default)
            if not isinstance(value, bool):
                raise self._wrong("schedule", name, value, "true or false")
            return value
        if isinstance(default, str):
            return self.choice("schedule", name, get_args(get_type_hints(kind)[name]), default)
        return self.whole("schedule", name, default) if type(default) is int else self.number("schedule", name, default)

    def _get(self, section: str, name: str, default: Any) -> Any:
        table = self.values.get(section, {}) if section else self.values
        if not isinstance(table, dict):
            raise MetadataError(self.path, f"setting {section}: got {table!r}, expected a JSON object")
        value = table.get(name)
        return default if value is None else value

    def _wrong(self, section: str, name: str, value: object, expected: str) -> MetadataError:
        place = f"{section}.{name}" if section else name
        return MetadataError(self.path, f"setting {place}: got {value!r}, expected {expected}")


def _plain(value: object) -> bool:
    return type(value) in (int, float) and -1e30 < value < 1e30  # type: ignore[operator]


def schedule_values(schedule: Schedule) -> dict[str, Any]:
    """Return a schedule as the JSON object that `Hints.schedule` reads."""
    kinds = {kind: name for name, kind in SCHEDULES.items()}
    return {"kind": kinds[type(schedule)], **asdict(schedule)}

"""Where models are, as a command's options, the environment and the configuration say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from nodegraph.collection.setup import Collection


def fill_folders(parser: argparse.ArgumentParser, *, again: bool = False) -> None:
    """Add the options that tell where models are; `again` where they may stand before an action and after it."""
    default: dict[str, Any] = {"default": argparse.SUPPRESS} if again else {}
    group = parser.add_argument_group("models")
    group.add_argument(
        "--models",
        metavar="DIR",
        type=Path,
        action="append",
        **{"default": [], **default},
        help="a folder of models, with one folder a kind in it (checkpoints, vae, loras), or an installation of "
        "ComfyUI or A1111; may be given several times; those of the variable NODEGRAPH_MODELS come after",
    )
    group.add_argument(
        "--extra-model-paths",
        metavar="FILE",
        type=Path,
        action="append",
        **{"default": [], **default},
        help="ComfyUI's extra_model_paths.yaml, whose folders are searched too; may be given several times",
    )
    group.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help="a configuration in place of the user's own nodegraph.toml",
        **default,
    )


def collection(options: argparse.Namespace) -> Collection:
    """Return the folders of models that a command is to use; what is wrong with them is wrong usage."""
    from nodegraph.collection.config import ConfigError
    from nodegraph.collection.extra_paths import PathsFileError
    from nodegraph.collection.setup import collect

    models = tuple(folder.expanduser() for folder in options.models)
    for folder in models:
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "no such folder"
            raise CommandError(f"--models: {folder}: {what}", Exit.USAGE)
    try:
        return collect(models, tuple(options.extra_model_paths), options.config)
    except (ConfigError, PathsFileError) as error:
        raise CommandError(str(error), Exit.USAGE) from error

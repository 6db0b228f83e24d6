"""Writes a new plugin: a folder that is there whole or not at all, and never in place of another."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path

from nodegraph.scaffold import texts
from nodegraph.scaffold.names import NameRefusedError, Names


def files_of(names: Names) -> dict[str, str]:
    """Return the files of a new plugin by their paths in its folder."""
    values = {
        "DISTRIBUTION": names.distribution,
        "MODULE": names.module,
        "PACK": names.pack,
        "TITLE": names.title,
        "NODEGRAPH": ".".join(version("nodegraph").split(".")[:2]),
    }
    source = f"src/{names.module}"
    layout = {
        "pyproject.toml": texts.PYPROJECT,
        "README.md": texts.README,
        ".gitignore": texts.GITIGNORE,
        f"{source}/__init__.py": texts.INIT,
        f"{source}/nodes.py": texts.NODES,
        f"{source}/py.typed": "",
        "tests/test_nodes.py": texts.TESTS,
        "workflows/vignette.json": texts.WORKFLOW,
    }
    return {path: _filled(text, values) for path, text in layout.items()}


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def write_plugin(names: Names, parent: Path) -> Path:
    """Write a new plugin into a folder of its own in `parent`; return the folder.

    Raise `NameRefusedError` where something of that name is there, whatever it is.
    """
    target = parent / names.distribution
    if target.exists() or target.is_symlink():
        raise NameRefusedError(f"{target} is there already, and stays as it is: choose another name, or --dir")
    parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=parent, prefix=f".{names.distribution}."))
    try:
        for path, text in files_of(names).items():
            file = made / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
        made.chmod(0o755)  # mkdtemp's are for their owner alone
        made.rename(target)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if target.exists():
            raise NameRefusedError(f"{target} was made by somebody else meanwhile, and stays as it is") from error
        raise
    return target

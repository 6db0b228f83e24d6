"""Any value shown."""

import json
from pathlib import Path
from typing import Any

from nodegraph import Context, node
from nodegraph.diffusion.filenames import NewFiles


@node("PreviewAny", title="Preview Any", category="utils", output=True)
def preview_any(context: Context, source: Any) -> None:
    """Show a value as text: the file goes to the temporary folder."""
    text = _shown(source)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8", newline="\n")

    names = NewFiles(context.folders.roots("temp")[0], "preview", ".txt")
    context.output(names.write(0, write), text)


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except (TypeError, ValueError, RecursionError):
        return str(value)

"""Pictures written to files, with what it takes to make them again."""

import json
from collections.abc import Collection
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator

from nodegraph import Context, node
from nodegraph.diffusion.filenames import NewFiles, file_prefix
from nodegraph.diffusion.values import Image, Origin

TOLD = {"engine", "device", "dtype", "metadata"}
"""Settings of a run that stand in a record by themselves, or change nothing that a picture shows."""


@node("SaveImage", title="Save Image", category="image", output=True)
def save_image(
    context: Context, images: Image, filename_prefix: Annotated[str, AfterValidator(file_prefix)] = "ComfyUI"
) -> None:
    """Save pictures as PNG files in the output folder.

    A `/` in the prefix makes a folder; `%width%`, `%height%`, `%batch_num%`, `%year%`, `%month%`, `%day%`, `%hour%`,
    `%minute%` and `%second%` are filled in. The workflow and a record of seeds, versions and models go into each file,
    unless the run leaves metadata out.
    """
    _save(context, "output", images, filename_prefix)


@node("PreviewImage", title="Preview Image", category="image", output=True)
def preview_image(context: Context, images: Image) -> None:
    """Show pictures without keeping them: the files go to the temporary folder."""
    _save(context, "temp", images, "preview")


def chunks(context: Context, origins: tuple[Origin, ...] = ()) -> dict[str, str]:
    """Return what a file of another kind tells of how it was made; nothing if the run leaves metadata out."""
    if not context.settings.get("metadata", True):
        return {}
    return _chunks(context, _record(context), 0, origins[0] if origins else None)


def _save(context: Context, kind: str, images: Image, prefix: str) -> None:
    from nodegraph.diffusion.flaws import picture_flaw
    from nodegraph.diffusion.images import write_png

    flaw = picture_flaw(images.pixels, context.check_cancelled)
    if flaw is not None:
        context.warn(flaw)  # here too: what came before may have been taken from the cache
    height, width = images.pixels.shape[1:3]
    names = NewFiles(context.folders.roots(kind)[0], prefix, ".png", width=width, height=height)
    record = _record(context) if context.settings.get("metadata", True) else None
    for index, pixels in enumerate(images.pixels):
        context.check_cancelled()
        origin = images.origins[index] if images.origins else None
        chunks = {} if record is None else _chunks(context, record, index, origin)
        written = names.write(index, partial(write_png, pixels=pixels, text=chunks))
        context.output(written, Image(images.pixels[index : index + 1], (origin,) if origin else ()))


def _chunks(context: Context, record: dict[str, Any], index: int, origin: Origin | None) -> dict[str, str]:
    """Return the PNG's text: the workflow in the API form (`prompt`) and ours, and the picture's own record."""
    seed = None if origin is None else {"seed": origin.seed, "batch_index": origin.index}
    text = {"nodegraph_record": json.dumps({**record, "picture": {"index": index, "origin": seed}})}
    for key, name in (("workflow", "nodegraph"), ("prompt", "prompt")):
        if key in context.document:
            text[name] = json.dumps(context.document[key])
    return text


def _record(context: Context) -> dict[str, Any]:
    from nodegraph.diffusion.record import extensions, library_versions, placement

    upstream = context.upstream()
    texts = {value for one in upstream for value in one.params.values() if isinstance(value, str)}
    settings, files = context.settings, _files(context, texts)
    nodes = [
        {"id": one.id, "type": one.type, "version": one.version, "plugin": f"{one.plugin} {one.plugin_version}".strip()}
        for one in upstream
    ]
    return {
        "engine": str(settings.get("engine", "")),
        "libraries": library_versions(),
        **placement(settings.get("device"), settings.get("dtype")),
        "settings": {name: value for name, value in settings.items() if name not in TOLD and value is not None},
        "files": {name: digest for name, (digest, _) in files.items()},
        "file_sizes": {name: size for name, (_, size) in files.items()},
        "extensions": extensions(texts),
        "nodes": nodes,
    }


def _files(context: Context, texts: Collection[str]) -> dict[str, tuple[str, int]]:
    """Return the digests and sizes of the files that a picture was made from, by `kind/name`."""
    from nodegraph.diffusion.weights.source import digest

    folders, upstream, found = context.folders, context.upstream(), dict[str, tuple[str, int]]()
    named = {file for one in upstream for file in one.files.values()}
    for mark in {mark for one in upstream for mark in one.mentions if mark.kind in folders.kinds}:
        names = folders.names(mark.kind)
        named |= {(mark.kind, name) for text in texts if mark.sign in text for name in mark.find(text, names)}
    for kind, name in sorted(named):
        path = folders.path(kind, name)
        weights = sorted(path.rglob("*.safetensors")) if path.is_dir() else [path]
        size = sum(file.stat().st_size for file in weights)
        found[f"{kind}/{folders.plain(name)}"] = (digest(weights, context.check_cancelled), size)
    return found

"""Latents kept in files."""

import json
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from nodegraph import Context, File, node
from nodegraph.diffusion.filenames import NewFiles, file_prefix
from nodegraph.diffusion.values import Latent

from . import saving


@node("SaveLatent", title="SaveLatent", category="_for_testing", output=True)
def save_latent(
    context: Context,
    samples: Latent,
    filename_prefix: Annotated[str, AfterValidator(file_prefix)] = "latents/ComfyUI",
) -> None:
    """Save latents in the output folder; `LoadLatent` reads them from the input folder."""
    from nodegraph.diffusion.latent_files import write_latent

    names = NewFiles(context.folders.roots("output")[0], filename_prefix, ".latent")
    write = partial(write_latent, samples=samples.samples, text=saving.chunks(context, samples.origins))
    context.output(names.write(0, write), json.dumps(list(samples.samples.shape)))


@node("LoadLatent", title="LoadLatent", category="_for_testing")
def load_latent(context: Context, latent: Annotated[str, File("input")]) -> Latent:
    """Load latents from a `.latent` file in the input folder, as `SaveLatent` and ComfyUI write them."""
    from nodegraph.diffusion.latent_files import read_latent

    return Latent(read_latent(context.folders.path("input", latent)))

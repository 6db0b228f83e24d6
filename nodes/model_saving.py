"""Models written to files, as they are when a run gets here: merged, and with LoRAs baked in."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

from pydantic import AfterValidator

from nodegraph import Context, node
from nodegraph.diffusion.filenames import NewFiles, file_prefix
from nodegraph.diffusion.values import Clip, Model, Vae

from . import saving

Prefix = Annotated[str, AfterValidator(file_prefix)]
CATEGORY = "advanced/model_merging"


@node("CheckpointSave", title="Save Checkpoint", category=CATEGORY, output=True)
def checkpoint_save(
    context: Context, model: Model, clip: Clip, vae: Vae, filename_prefix: Prefix = "checkpoints/ComfyUI"
) -> None:
    """Write a model with its text encoder and autoencoder as one checkpoint to the output folder.

    Merges are made and LoRAs baked in while it is written, a tensor at a time, at the precision of the first model's
    file.
    """
    _save(context, filename_prefix, model=model, clip=clip, vae=vae)


@node("ModelSave", category=CATEGORY, output=True)
def model_save(context: Context, model: Model, filename_prefix: Prefix = "diffusion_models/ComfyUI") -> None:
    """Write a denoising network alone to the output folder; `UNETLoader` reads it."""
    _save(context, filename_prefix, model=model)


@node("CLIPSave", category=CATEGORY, output=True)
def clip_save(context: Context, clip: Clip, filename_prefix: Prefix = "clip/ComfyUI") -> None:
    """Write a text encoder alone to the output folder; `CLIPLoader` reads it.

    Of several each goes into a file of its own, whose name ends in `clip_l` or `clip_g`; `DualCLIPLoader` reads both.
    """
    from nodegraph.diffusion.merging.networks import save_text_encoder

    if clip.part == "clip":
        _save(context, filename_prefix, clip=clip)
        return
    for encoder in clip.encoders:
        save = partial(save_text_encoder, encoder=encoder, about=saving.chunks(context), tell=_telling(context))
        context.output(_new_files(context, f"{filename_prefix}_{encoder.part}").write(0, save))


@node("VAESave", category=CATEGORY, output=True)
def vae_save(context: Context, vae: Vae, filename_prefix: Prefix = "vae/ComfyUI_vae") -> None:
    """Write an autoencoder alone to the output folder; `VAELoader` reads it."""
    _save(context, filename_prefix, vae=vae)


def _save(
    context: Context, prefix: str, model: Model | None = None, clip: Clip | None = None, vae: Vae | None = None
) -> None:
    from nodegraph.diffusion.merging.networks import save_networks

    about, tell = saving.chunks(context), _telling(context)
    save = partial(save_networks, model=model, clip=clip, vae=vae, dtype=None, about=about, tell=tell)
    context.output(_new_files(context, prefix).write(0, save))


def _new_files(context: Context, prefix: str) -> NewFiles:
    return NewFiles(context.folders.roots("output")[0], prefix, ".safetensors")


def _telling(context: Context) -> Callable[[int, int], None]:
    return lambda done, total: context.progress(done, total, "bytes")

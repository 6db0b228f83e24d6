"""Models from files."""

from typing import Annotated, NamedTuple

from nodegraph import Context, File, node
from nodegraph.diffusion.values import Clip, Model, Vae


class Checkpoint(NamedTuple):
    """What a checkpoint holds: the denoising model, its text encoder and its autoencoder."""

    model: Model
    clip: Clip
    vae: Vae


@node("CheckpointLoaderSimple", title="Load Checkpoint", category="loaders", settings=("device", "dtype"))
def checkpoint_loader_simple(context: Context, ckpt_name: Annotated[str, File("checkpoints")]) -> Checkpoint:
    """Load a checkpoint from the folder `checkpoints`: a safetensors file, or a folder as diffusers writes it.

    Its weights are brought when a node uses them, and kept while there is memory.
    """
    from nodegraph.diffusion.loading import load

    loaded = load(
        context.folders.path("checkpoints", ckpt_name),
        device=context.settings.get("device"),
        dtype=context.settings.get("dtype"),
    )
    return Checkpoint(loaded.model, loaded.clip, loaded.vae)

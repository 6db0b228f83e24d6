"""Models from files."""

from dataclasses import replace
from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, File, node
from nodegraph.diffusion.values import Clip, Model, Vae

NETWORK = ("device", "dtype", "compile")
"""The settings that decide what a denoising network computes, to the last bit."""

ClipType = Literal[
    "stable_diffusion", "stable_cascade", "sd3", "stable_audio", "mochi", "ltxv", "pixart", "cosmos", "lumina2", "wan",
    "hidream", "chroma", "ace", "omnigen2", "qwen_image", "hunyuan_image",
]  # fmt: skip
ClipPairType = Literal["sdxl", "sd3", "flux", "hunyuan_video", "hidream", "hunyuan_image"]

Config = Literal[
    "anything_v3.yaml", "v1-inference.yaml", "v1-inference_clip_skip_2.yaml", "v1-inference_clip_skip_2_fp16.yaml",
    "v1-inference_fp16.yaml", "v1-inpainting-inference.yaml", "v2-inference-v.yaml", "v2-inference-v_fp32.yaml",
    "v2-inference.yaml", "v2-inference_fp32.yaml", "v2-inpainting-inference.yaml",
]  # fmt: skip
"""The configurations that come with ComfyUI."""
EARLY = {"anything_v3.yaml", "v1-inference_clip_skip_2.yaml", "v1-inference_clip_skip_2_fp16.yaml"}
"""Those for models whose text encoder stops at its last layer but one."""


class Checkpoint(NamedTuple):
    """What a checkpoint holds: the denoising model, its text encoder and its autoencoder."""

    model: Model
    clip: Clip
    vae: Vae


@node("CheckpointLoaderSimple", title="Load Checkpoint", category="loaders", settings=NETWORK)
def checkpoint_loader_simple(context: Context, ckpt_name: Annotated[str, File("checkpoints")]) -> Checkpoint:
    """Load a checkpoint from the folder `checkpoints`: a safetensors file, or a folder as diffusers writes it.

    Its weights are brought when a node uses them, and kept while there is memory.
    """
    return _checkpoint(context, "checkpoints", ckpt_name)


@node(
    "CheckpointLoader", title="Load Checkpoint With Config (DEPRECATED)", category="advanced/loaders",
    settings=NETWORK, deprecated="CheckpointLoaderSimple",
)  # fmt: skip
def checkpoint_loader(
    context: Context, config_name: Config, ckpt_name: Annotated[str, File("checkpoints")]
) -> Checkpoint:
    """Load a checkpoint, with the text encoder stopped one layer early where the configuration says so.

    The file itself tells the rest: what kind of model it is, and at which precision it is stored.
    """
    loaded = _checkpoint(context, "checkpoints", ckpt_name)
    return loaded._replace(clip=replace(loaded.clip, stop_layer=-2)) if config_name in EARLY else loaded


@node("DiffusersLoader", category="advanced/loaders/deprecated", settings=NETWORK)
def diffusers_loader(context: Context, model_path: Annotated[str, File("diffusers")]) -> Checkpoint:
    """Load a model from a folder as diffusers writes it, with `model_index.json`."""
    return _checkpoint(context, "diffusers", model_path)


@node("UNETLoader", title="Load Diffusion Model", category="advanced/loaders", settings=NETWORK)
def unet_loader(
    context: Context,
    unet_name: Annotated[str, File("diffusion_models")],
    weight_dtype: Literal["default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2"] = "default",
) -> Model:
    """Load a denoising network that is alone in its file, or take the one of a checkpoint.

    Weights that are stored in 8 bits are used at the run's precision; `weight_dtype` rounds others to 8 bits as well,
    which changes pictures a little and takes no less memory here.
    """
    from nodegraph.diffusion.loading import load_model

    path = context.folders.path("diffusion_models", unet_name)
    return load_model(path, rounded=weight_dtype.removesuffix("_fast"), **_where(context))


@node("CLIPLoader", title="Load CLIP", category="advanced/loaders", settings=("device", "dtype"))
def clip_loader(
    context: Context,
    clip_name: Annotated[str, File("text_encoders")],
    type: ClipType = "stable_diffusion",
    device: Literal["default", "cpu"] = "default",
) -> Clip:
    """Load a text encoder that is alone in its file, or take the one of a checkpoint; `cpu` has it run there.

    `stable_diffusion` takes CLIP-L for Stable Diffusion 1, or OpenCLIP-bigG for SDXL's refiner; the other types cannot
    be loaded yet.
    """
    from nodegraph.diffusion.loading import load_clip

    return load_clip(context.folders.path("text_encoders", clip_name), kind=type, **_text_where(context, device))


@node("DualCLIPLoader", category="advanced/loaders", settings=("device", "dtype"))
def dual_clip_loader(
    context: Context,
    clip_name1: Annotated[str, File("text_encoders")],
    clip_name2: Annotated[str, File("text_encoders")],
    type: ClipPairType = "sdxl",
    device: Literal["default", "cpu"] = "default",
) -> Clip:
    """Load two text encoders that read a prompt together; which file is which is told by what they hold.

    `sdxl` takes CLIP-L and OpenCLIP-bigG, each named as transformers or OpenCLIP do; the other types cannot be loaded
    yet. `cpu` has both run there.
    """
    from nodegraph.diffusion.loading import load_clips

    first, second = (context.folders.path("text_encoders", name) for name in (clip_name1, clip_name2))
    return load_clips((first, second), kind=type, **_text_where(context, device))


@node("VAELoader", title="Load VAE", category="loaders", settings=("device", "dtype"))
def vae_loader(context: Context, vae_name: Annotated[str, File("vae")]) -> Vae:
    """Load an autoencoder that is alone in its file, or take the one of a checkpoint.

    A tiny one (TAESD) is fast and takes little memory; of its two files name either.
    """
    from nodegraph.diffusion.loading import load_vae

    return load_vae(context.folders.path("vae", vae_name), **_where(context))


def _checkpoint(context: Context, kind: str, name: str) -> Checkpoint:
    from nodegraph.diffusion.loading import load

    loaded = load(context.folders.path(kind, name), **_where(context))
    return Checkpoint(loaded.model, loaded.clip, loaded.vae)


def _text_where(context: Context, device: str) -> dict[str, str | None]:
    return _where(context) if device == "default" else {"device": "cpu", "dtype": None}


def _where(context: Context) -> dict[str, str | None]:
    """Return the device and the precision of the run."""
    return {name: context.settings.get(name) for name in ("device", "dtype")}

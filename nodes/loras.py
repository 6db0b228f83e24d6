"""LoRAs: put on models, added up, taken out of models, saved."""

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from nodegraph import Context, File, Step, node
from nodegraph.diffusion.filenames import NewFiles, file_prefix
from nodegraph.diffusion.values import Clip, Lora, Model

from . import saving

Strength = Annotated[float, Field(ge=-100, le=100), Step(0.01)]
Rank = Annotated[int, Field(ge=1, le=4096)]
Rate = Annotated[float, Field(ge=0, le=1), Step(0.001)]
Prefix = Annotated[str, AfterValidator(file_prefix)]


class Dressed(NamedTuple):
    """A model and its text encoder with a LoRA on."""

    model: Model
    clip: Clip


@node("LoraLoader", title="Load LoRA", category="loaders")
def lora_loader(
    context: Context,
    model: Model,
    clip: Clip,
    lora_name: Annotated[str, File("loras")],
    strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0,
) -> Dressed:
    """Put a LoRA, or one of its kin (LoCon, LoHa, LoKr, DoRA, OFT), on a model and its text encoder.

    Several can be chained. The model is not loaded anew, and not copied: other branches go on without the LoRA.
    """
    from nodegraph.diffusion.loras import load_lora, with_lora

    lora = load_lora(context.folders.path("loras", lora_name), model, clip, warn=context.warn)
    return Dressed(*with_lora(lora, model, clip, strength_model, strength_clip))  # type: ignore[arg-type]


@node("LoraLoaderModelOnly", category="loaders")
def lora_loader_model_only(
    context: Context, model: Model, lora_name: Annotated[str, File("loras")], strength_model: Strength = 1.0
) -> Model:
    """Put a LoRA on a model alone: what it changes in the text encoder is left out."""
    from nodegraph.diffusion.loras import load_lora, with_lora

    lora = load_lora(context.folders.path("loras", lora_name), model, warn=context.warn)
    return with_lora(lora, model, None, strength_model).model or model


@node("LoraLoaderBlocks", title="Load LoRA (Block Weights)", category="loaders")
def lora_loader_blocks(
    context: Context,
    model: Model,
    clip: Clip,
    lora_name: Annotated[str, File("loras")],
    blocks: str = "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
    strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0,
) -> Dressed:
    """Put a LoRA on with a strength of its own for each block of the network.

    `blocks` are 17 numbers (BASE, then the blocks with attention) or 26 (all blocks), parted by commas, or a preset's
    name such as INS, MIDD, OUTALL. BASE is the text encoder's.
    """
    from nodegraph.diffusion.loras import load_lora, with_lora

    lora = load_lora(context.folders.path("loras", lora_name), model, clip, warn=context.warn)
    return Dressed(*with_lora(lora, model, clip, strength_model, strength_clip, blocks))  # type: ignore[arg-type]


@node("LoraFile", title="Open LoRA", category="advanced/loras")
def lora_file(
    context: Context, model: Model, lora_name: Annotated[str, File("loras")], clip: Clip | None = None
) -> Lora:
    """Read a LoRA for a kind of model, to be added to others, or to be put on later."""
    from nodegraph.diffusion.loras import load_lora

    return load_lora(context.folders.path("loras", lora_name), model, clip, warn=context.warn)


@node("LoraModelLoader", title="Load LoRA Model", category="loaders")
def lora_model_loader(model: Model, lora: Lora, strength_model: Strength = 1.0) -> Model:
    """Put a LoRA that other nodes have made on a model."""
    from nodegraph.diffusion.loras import with_lora

    return with_lora(lora, model, None, strength_model).model or model


@node("LoraApply", title="Apply LoRA", category="advanced/loras")
def lora_apply(
    model: Model,
    clip: Clip,
    lora: Lora,
    strength_model: Strength = 1.0,
    strength_clip: Strength = 1.0,
    blocks: str = "",
) -> Dressed:
    """Put a LoRA that other nodes have made on a model and its text encoder; `blocks` as in LoraLoaderBlocks."""
    from nodegraph.diffusion.loras import with_lora

    return Dressed(*with_lora(lora, model, clip, strength_model, strength_clip, blocks))  # type: ignore[arg-type]


@node("LoraCombine", title="Combine LoRAs", category="advanced/loras")
def lora_combine(
    lora_1: Lora,
    lora_2: Lora,
    strength_1: Strength = 1.0,
    strength_2: Strength = 1.0,
    method: Literal["exact", "rank"] = "exact",
    rank: Rank = 32,
) -> Lora:
    """Add two LoRAs up to one: exactly, as large as both together, or brought to a rank (SVD)."""
    from nodegraph.diffusion.loras import combined
    from nodegraph.diffusion.merging.lowrank import RankRule

    rule = RankRule(rank) if method == "rank" else None
    return combined([(lora_1, strength_1, strength_1), (lora_2, strength_2, strength_2)], rule)


@node("LoraExtract", title="Extract LoRA", category="advanced/loras")
def lora_extract(
    context: Context,
    model: Model,
    base_model: Model,
    clip: Clip | None = None,
    base_clip: Clip | None = None,
    rank: Rank = 32,
    conv_rank: Annotated[int, Field(ge=0, le=4096)] = 16,
    energy: Rate = 1.0,
) -> Lora:
    """Take out of a tuned model what makes it of its base, as a LoRA (SVD).

    With `conv_rank` 0 the convolutions are left out. `energy` below 1 keeps, up to the rank, only as many directions as
    hold that share of each change.
    """
    from nodegraph.diffusion.loras import extracted
    from nodegraph.diffusion.merging.loras import Extraction
    from nodegraph.diffusion.merging.lowrank import RankRule

    share = energy if 0 < energy < 1 else None
    conv = RankRule(conv_rank, energy=share) if conv_rank else None
    how = Extraction(RankRule(rank, energy=share), conv, biases=False, clamp=None)
    return extracted((model, clip), (base_model, base_clip), how, context.check_cancelled)


@node("SaveLoRANode", title="Save LoRA Weights", category="loaders", output=True)
def save_lora_node(
    context: Context,
    lora: Lora,
    prefix: Prefix = "loras/ComfyUI_trained_lora",
    steps: int | None = None,
) -> None:
    """Write a LoRA to the output folder, in kohya's layout; `steps`, where wired, goes into its name."""
    _write(context, lora, prefix if steps is None else f"{prefix}_{steps}_steps")


@node("LoraSave", title="Extract and Save Lora", category="_for_testing", output=True)
def lora_save(
    context: Context,
    filename_prefix: Prefix = "loras/ComfyUI_extracted_lora",
    rank: Rank = 8,
    lora_type: Literal["standard", "full_diff"] = "standard",
    bias_diff: bool = True,
    model_diff: Model | None = None,
    text_encoder_diff: Clip | None = None,
) -> None:
    """Write the difference of models, as ModelMergeSubtract and CLIPMergeSubtract give it, as a LoRA."""
    from nodegraph.diffusion.loras import taken_whole
    from nodegraph.diffusion.merging.loras import Extraction
    from nodegraph.diffusion.merging.lowrank import RankRule

    if model_diff is None and text_encoder_diff is None:
        raise ValueError("nothing to save: wire the difference of two models, of two text encoders, or both")
    how = Extraction(RankRule(rank), RankRule(rank), biases=bias_diff, full=lora_type == "full_diff", clamp=None)
    lora = taken_whole(model_diff, text_encoder_diff, how, context.check_cancelled)
    _write(context, lora, filename_prefix)


def _write(context: Context, lora: Lora, prefix: str) -> None:
    from nodegraph.diffusion.loras import write_lora

    names = NewFiles(context.folders.roots("output")[0], prefix, ".safetensors")
    about = saving.chunks(context)
    context.output(names.write(0, lambda path: write_lora(path, lora, about=about)))

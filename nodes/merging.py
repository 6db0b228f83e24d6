"""Models merged: tensor by tensor, as they are used or saved."""

from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

from pydantic import Field

from nodegraph import Choices, KnownAs, Step, Widget, node
from nodegraph.diffusion.values import Clip, Model

Ratio = Annotated[float, Field(ge=0, le=1), Step(0.01), Widget("slider")]
Factor = Annotated[float, Field(ge=-10, le=10), Step(0.01)]
Share = Annotated[float, Field(ge=-2, le=2), Step(0.01)]
Density = Annotated[float, Field(gt=0, le=1), Step(0.01), Widget("slider")]

CATEGORY = "advanced/model_merging"
SD1_PREFIXES = (
    "time_embed.", "label_emb.", *(f"input_blocks.{number}." for number in range(12)),
    *(f"middle_block.{number}." for number in range(3)), *(f"output_blocks.{number}." for number in range(12)), "out.",
)  # fmt: skip


@node("ModelMergeSimple", category=CATEGORY)
def model_merge_simple(model1: Model, model2: Model, ratio: Ratio = 1.0) -> Model:
    """Interpolate between two models: 1 is the first, 0 the second."""
    from nodegraph.diffusion.merging.blocks import Even
    from nodegraph.diffusion.merging.methods import WeightedSum
    from nodegraph.diffusion.merging.networks import merged_model

    return merged_model(WeightedSum(Even(1 - ratio)), model1, model2)


@node("ModelMergeBlocks", category=CATEGORY)
def model_merge_blocks(
    model1: Model, model2: Model, input: Ratio = 1.0, middle: Ratio = 1.0, out: Ratio = 1.0
) -> Model:
    """Interpolate between two models, with a ratio each for the input, middle and output blocks: 1 is the first."""
    return _per_prefix(model1, model2, {"input": input, "middle": middle, "out": out})


@node("ModelMergeAdd", category=CATEGORY)
def model_merge_add(model1: Model, model2: Model) -> Model:
    """Add the weights of two models, of which one is a difference as a rule (ModelMergeSubtract)."""
    return _linear(model1, model2, 1.0, 1.0)


@node("ModelMergeSubtract", category=CATEGORY)
def model_merge_subtract(model1: Model, model2: Model, multiplier: Factor = 1.0) -> Model:
    """Subtract the second model's weights from the first one's, and multiply what is left."""
    return _linear(model1, model2, multiplier, -multiplier)


@node("CLIPMergeSimple", category=CATEGORY)
def clip_merge_simple(clip1: Clip, clip2: Clip, ratio: Ratio = 1.0) -> Clip:
    """Interpolate between two text encoders: 1 is the first, 0 the second."""
    from nodegraph.diffusion.merging.blocks import Even
    from nodegraph.diffusion.merging.methods import WeightedSum
    from nodegraph.diffusion.merging.networks import merged_clip

    return merged_clip(WeightedSum(Even(1 - ratio)), clip1, clip2)


@node("CLIPMergeAdd", category=CATEGORY)
def clip_merge_add(clip1: Clip, clip2: Clip) -> Clip:
    """Add the weights of two text encoders, of which one is a difference as a rule (CLIPMergeSubtract)."""
    from nodegraph.diffusion.merging.methods import Linear
    from nodegraph.diffusion.merging.networks import merged_clip

    return merged_clip(Linear(), clip1, clip2)


@node("CLIPMergeSubtract", category=CATEGORY)
def clip_merge_subtract(clip1: Clip, clip2: Clip, multiplier: Factor = 1.0) -> Clip:
    """Subtract the second text encoder's weights from the first one's, and multiply what is left."""
    from nodegraph.diffusion.merging.methods import Linear
    from nodegraph.diffusion.merging.networks import merged_clip

    return merged_clip(Linear(multiplier, -multiplier), clip1, clip2)


def _presets() -> list[str]:
    from nodegraph.diffusion.merging.blocks import PRESETS

    return ["as numbered", *PRESETS]


@node("ModelMergeMBW", title="Model Merge (Block Weights)", category=CATEGORY)
def model_merge_mbw(
    model1: Model,
    model2: Model,
    preset: Annotated[str, Choices(_presets)] = "as numbered",
    blocks: str = "0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5",
    base: Ratio = 0.0,
) -> Model:
    """Merge block by block (MBW): how much of the second model each takes, IN00 to IN11, M00, OUT00 to OUT11.

    `blocks` are 25 numbers parted by commas, unless a preset is chosen. The time embedding goes with IN00, the output
    layers with OUT11; `base` is for what lies in no block.
    """
    from nodegraph.diffusion.merging.blocks import mbw
    from nodegraph.diffusion.merging.methods import WeightedSum
    from nodegraph.diffusion.merging.networks import merged_model

    return merged_model(WeightedSum(mbw(blocks if preset == "as numbered" else preset, base)), model1, model2)


@node("ModelMergeSlerp", title="Model Merge (SLERP)", category=CATEGORY)
def model_merge_slerp(model1: Model, model2: Model, ratio: Ratio = 0.5) -> Model:
    """Go from the first model (1) to the second (0) along an arc, which keeps the size of weights that differ much."""
    from nodegraph.diffusion.merging.blocks import Even
    from nodegraph.diffusion.merging.methods import Slerp
    from nodegraph.diffusion.merging.networks import merged_model

    return merged_model(Slerp(Even(1 - ratio)), model1, model2)


@node("ModelMergeDifference", title="Model Merge (Add Difference)", category=CATEGORY)
def model_merge_difference(
    model1: Model,
    model2: Model,
    base_model: Model,
    multiplier: Share = 1.0,
    method: Literal["add", "train"] = "add",
) -> Model:
    """Give the first model what the second learned from its base: model1 + multiplier * (model2 - base_model).

    `train` adds it only as far as the first model has not learned it already.
    """
    from nodegraph.diffusion.merging.blocks import Even
    from nodegraph.diffusion.merging.methods import AddDifference, TrainDifference
    from nodegraph.diffusion.merging.networks import merged_model

    how = AddDifference if method == "add" else TrainDifference
    return merged_model(how(Even(multiplier)), model1, model2, base_model)


@node("ModelMergeTIES", title="Model Merge (TIES)", category=CATEGORY)
def model_merge_ties(
    base_model: Model,
    model1: Model,
    model2: Model,
    weight1: Share = 1.0,
    weight2: Share = 1.0,
    density: Density = 0.5,
    normalize: bool = True,
) -> Model:
    """Add what two models learned from one base, without what is small or goes against the other (Yadav et al. 2023).

    `density` is the share of each difference that is kept; `normalize` averages where both agree.
    """
    from nodegraph.diffusion.merging.methods import Ties
    from nodegraph.diffusion.merging.networks import merged_model

    return merged_model(Ties((weight1, weight2), density, normalize=normalize), base_model, model1, model2)


@node("ModelMergeDARE", title="Model Merge (DARE)", category=CATEGORY)
def model_merge_dare(
    base_model: Model,
    model1: Model,
    model2: Model,
    weight1: Share = 1.0,
    weight2: Share = 1.0,
    density: Density = 0.5,
    method: Literal["linear", "ties"] = "linear",
    seed: Annotated[int, Field(ge=0, le=2**64 - 1), Widget("seed")] = 0,
) -> Model:
    """Add what two models learned from one base, of which chance drops all but a share (Yu et al. 2023).

    `density` is the share that is kept, and made larger for what is dropped; `ties` lets the signs be elected.
    """
    from nodegraph.diffusion.merging.methods import Dare
    from nodegraph.diffusion.merging.networks import merged_model

    how = Dare((weight1, weight2), density, seed, elect=method == "ties")
    return merged_model(how, base_model, model1, model2)


def _by_block(prefixes: Sequence[str]) -> Callable[..., Model]:
    """Return a node's function with a ratio for each prefix of names."""
    names = {prefix.replace(".", " ").strip().replace(" ", "_"): prefix for prefix in prefixes}

    def merge_by_block(model1: Model, model2: Model, **ratios: float) -> Model:
        return _per_prefix(model1, model2, {prefix: ratios.get(name, 1.0) for name, prefix in names.items()})

    hints: dict[str, Any] = {"model1": Model, "model2": Model}
    hints |= {name: Annotated[Ratio, KnownAs(prefix)] for name, prefix in names.items()}
    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=1.0 if name in names else Parameter.empty, annotation=hint)
        for name, hint in hints.items()
    ]
    merge_by_block.__annotations__ = {**hints, "return": Model}
    merge_by_block.__signature__ = Signature(parameters, return_annotation=Model)  # type: ignore[attr-defined]
    merge_by_block.__doc__ = (
        "Interpolate between two models, with a ratio for each block: 1 is the first, 0 the second."
    )
    return merge_by_block


model_merge_sd1 = node("ModelMergeSD1", category=f"{CATEGORY}/model_specific")(_by_block(SD1_PREFIXES))
model_merge_sd2 = node("ModelMergeSD2", category=f"{CATEGORY}/model_specific")(_by_block(SD1_PREFIXES))


def _per_prefix(model1: Model, model2: Model, ratios: dict[str, float]) -> Model:
    from nodegraph.diffusion.merging.blocks import PerPrefix
    from nodegraph.diffusion.merging.methods import WeightedSum
    from nodegraph.diffusion.merging.networks import merged_model

    shares = PerPrefix(tuple((prefix, 1 - ratio) for prefix, ratio in ratios.items()))
    return merged_model(WeightedSum(shares), model1, model2)


def _linear(model1: Model, model2: Model, first: float, second: float) -> Model:
    from nodegraph.diffusion.merging.methods import Linear
    from nodegraph.diffusion.merging.networks import merged_model

    return merged_model(Linear(first, second), model1, model2)

"""Built-in nodes that carry a ComfyUI name take and give what ComfyUI's do (`tests/data/comfyui_object_info.json`)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from nodegraph.engine.plugins import load_plugins
from nodegraph.engine.spec import InputPort, NodeSpec
from nodegraph.runtime import SPECS

DATA = Path(__file__).parents[1] / "data" / "comfyui_object_info.json"
ORACLE: Final[dict[str, Any]] = json.loads(DATA.read_bytes())
TYPES: Final = {"int": "int", "float": "float", "string": "str", "boolean": "bool", "*": "any", "lora_model": "lora"}
"""ComfyUI's names of types and ours, where they are not the same but for underscores."""
CHOICE: Final = "COMBO"
BOUNDS: Final = {"min": "minimum", "max": "maximum"}

OURS_ALONE: Final = {
    "LoraLoaderBlocks": "puts a LoRA on with a strength for each block",
    "LoraFile": "reads a LoRA to be added to others",
    "LoraApply": "puts a LoRA that nodes have made on a model and its text encoder",
    "LoraCombine": "adds LoRAs up to one",
    "LoraExtract": "takes a LoRA out of a tuned model and its base",
    "ModelMergeMBW": "merges with the 25 weights that people share",
    "ModelMergeSlerp": "merges along an arc",
    "ModelMergeDifference": "adds what a model learned",
    "ModelMergeTIES": "merges by Yadav et al.",
    "ModelMergeDARE": "merges by Yu et al.",
    "CLIPPromptStyle": "reads prompts as A1111 does, which ComfyUI leaves to extensions",
    "GuidanceInterval": "lets cfg count in a part of the sampling alone",
}
"""Nodes without a twin, beside those that control the flow."""

DIFFERENT: Final = {
    ("RebatchImages", "images"): "one batch may be wired as well as a list: there every input takes both",
    ("RebatchLatents", "latents"): "one batch may be wired as well as a list: there every input takes both",
}
"""Inputs that differ on purpose, and why."""

FEWER: Final = {
    ("ModelSamplingContinuousEDM", "sampling"): "the others are of families that are not there yet",
}
"""Choices of which we have only some, and why."""

NEWER: Final = {"exp_heun_2_x0", "exp_heun_2_x0_sde"}
"""Names of samplers and schedulers that ComfyUI has since the version that the data is of."""

BETTER: Final = {
    "HyperTile": "there the tokens of a tile attend to those of a strip of rows, not to their own tile",
    "FeatherMask": "there the right and bottom sides begin with the first column and row, which fade wrongly",
    "LatentBlend": "there sizes that differ are brought together along the wrong dimensions and fail",
    "ImageCompositeMasked": "there a source without alpha on a destination with alpha fails",
    "MaskComposite": "there a batch of sources on one destination fails",
    "RegexMatch": "there a pattern that is none never fits; here the node says what is wrong with it",
    "RegexExtract": "there a pattern that is none gives no text; here the node says what is wrong with it",
    "LatentConcat": "there the mask of the first stays at its old size",
    "LatentCut": "there the mask is not cut",
    "ImageScale": "there lanczos rounds to 8 bits first, and what a filter overshoots stays outside of [0, 1]",
    "VAEDecodeTiled": "there three passes with tiles of other shapes are averaged, for three times the work",
}
"""Nodes that do something else on purpose, and why."""

IMAGE_FAMILY: Final = (
    "image", "mask", "latent", "conditioning", "sampling", "loaders", "advanced", "utils", "_for_testing",
    "model_patches", "training",
)  # fmt: skip
"""How the categories begin that nodes for pictures are in."""
OTHER: Final = (
    "video", "3d", "audio", "svg", "webcam", "wan", "ltxv", "hunyuan", "cosmos", "mochi", "stablecascade", "svd",
    "stable_cascade", "sv3d", "zero123", "ace", "trim", "webm", "webcapture",
)  # fmt: skip
"""What the names or categories of nodes for other things than pictures hold."""


@cache
def specs() -> dict[str, NodeSpec]:
    """Return our nodes by id, that of ComfyUI where it has a blank."""
    registry = load_plugins(builtin=["nodegraph.nodes"], specs=SPECS, entry_points=False).registry
    return {next((alias for alias in spec.aliases if " " in alias), id): spec for id, spec in registry.items()}


SHARED: Final = sorted(set(specs()) & set(ORACLE))


def theirs(name: str) -> dict[str, tuple[str, tuple[str, ...], dict[str, Any], bool]]:
    """Return ComfyUI's inputs in their order: type, choices, options, and whether the input must be given."""
    inputs = {}
    for section in ("required", "optional"):
        for key, (kind, *rest) in ORACLE[name]["input"].get(section, {}).items():
            options = rest[0] if rest else {}
            choices = kind if isinstance(kind, list) else options.get("options", [])
            inputs[key] = (CHOICE if isinstance(kind, list) else kind, tuple(choices), options, section == "required")
    return inputs


def plain(kind: str) -> str:
    """Return a ComfyUI type as ours is called: `LATENT_OPERATION` is `latentoperation`."""
    return TYPES.get(kind.lower(), kind.lower().replace("_", ""))


def ours(port: InputPort) -> str:
    return port.type.name.removesuffix(" | None").lower()


def compared(name: str) -> list[tuple[InputPort, tuple[str, tuple[str, ...], dict[str, Any], bool]]]:
    ports = {port.known_as or key: port for key, port in specs()[name].inputs.items()}
    return [(ports[key], told) for key, told in theirs(name).items() if (name, key) not in DIFFERENT]


@pytest.mark.parametrize("name", SHARED)
def test_inputs_have_the_same_names_in_the_same_order(name: str) -> None:
    assert [port.known_as or key for key, port in specs()[name].inputs.items()] == list(theirs(name))


@pytest.mark.parametrize("name", SHARED)
def test_inputs_have_the_same_types_and_what_is_optional_there_is_so_here(name: str) -> None:
    for port, (kind, _, _, required) in compared(name):
        if kind == CHOICE:
            assert port.choices is not None or port.file is not None, port.name
        else:
            assert ours(port) == plain(kind), port.name
        assert required or not port.required, port.name


@pytest.mark.parametrize("name", SHARED)
def test_defaults_and_bounds_are_the_same(name: str) -> None:
    for port, (kind, _, options, _) in compared(name):
        if "default" in options:
            assert port.default == options["default"], port.name
        if kind in ("INT", "FLOAT"):
            schema = port.type.schema or {}
            told = {bound: schema.get(word) for bound, word in BOUNDS.items()}
            assert told == {bound: options.get(bound) for bound in BOUNDS}, port.name


@pytest.mark.parametrize("name", SHARED)
def test_choices_are_the_same_but_for_names_that_plugins_and_folders_give(name: str) -> None:
    for port, (_, choices, _, _) in compared(name):
        if port.choices is None or not choices:
            continue
        if "Literal" in str(port.type.annotation) and (name, port.name) not in FEWER:
            assert sorted(port.choices()) == sorted(set(choices)), port.name
        else:
            assert set(port.choices()) <= {*choices, *NEWER}, port.name


@pytest.mark.parametrize("name", SHARED)
def test_outputs_have_the_same_types_in_the_same_order(name: str) -> None:
    given = [port.type for port in specs()[name].outputs.values()]
    items = [kind.item if whole else kind for kind, whole in zip(given, ORACLE[name]["output_is_list"], strict=True)]
    assert [kind and kind.name.lower() for kind in items] == [plain(kind) for kind in ORACLE[name]["output"]]
    assert specs()[name].output == ORACLE[name]["output_node"]


@pytest.mark.parametrize("name", SHARED)
def test_several_outputs_have_the_same_names(name: str) -> None:
    outputs = list(specs()[name].outputs)
    if len(outputs) > 1:
        assert [output.lower() for output in outputs] == [output.lower() for output in ORACLE[name]["output_name"]]


@pytest.mark.parametrize("name", SHARED)
def test_titles_and_categories_are_the_same(name: str) -> None:
    assert (specs()[name].title or name) == (ORACLE[name]["display_name"] or name)
    assert specs()[name].category == ORACLE[name]["category"]


@pytest.mark.parametrize("name", sorted(specs()))
def test_every_node_explains_itself(name: str) -> None:
    assert specs()[name].doc.endswith((".", ")", "`")), "the docstring is the node's help"


def test_only_control_nodes_and_a_few_more_have_no_twin() -> None:
    alone = {name for name, spec in specs().items() if name not in ORACLE and not spec.category.startswith("control")}
    assert alone == set(OURS_ALONE)


def test_what_differs_on_purpose_is_there_and_does_differ() -> None:
    assert set(BETTER) <= set(SHARED)
    for name, key in DIFFERENT:
        assert ours(specs()[name].inputs[key]) != plain(theirs(name)[key][0]), f"{name}.{key} need not be listed"


def missing() -> dict[str, list[str]]:
    """Return ComfyUI's nodes for pictures that we lack, by category."""
    lacking: dict[str, list[str]] = {}
    for name, told in sorted(ORACLE.items()):
        told_by = f"{name} {told['category']}".lower()
        if name not in specs() and told["category"].startswith(IMAGE_FAMILY) and not any(o in told_by for o in OTHER):
            lacking.setdefault(told["category"], []).append(name)
    return lacking


def test_pictures_masks_latents_and_texts_are_whole() -> None:
    """Run with `-rA` to see which nodes for pictures are still missing."""
    lacking = missing()
    print(f"{sum(map(len, lacking.values()))} of ComfyUI's nodes for pictures are missing:")  # noqa: T201
    for category, names in sorted(lacking.items()):
        print(f"  {category}: {', '.join(names)}")  # noqa: T201
    whole = {"image", "image/batch", "image/postprocessing", "image/preprocessors", "image/transform", "mask",
             "image/upscaling", "image/animation", "mask/compositing", "latent", "latent/advanced", "latent/batch",
             "latent/inpaint", "latent/transform", "utils", "utils/primitive", "utils/string",
             "conditioning/inpaint", "conditioning/instructpix2pix"}  # fmt: skip
    assert whole & set(lacking) == set()

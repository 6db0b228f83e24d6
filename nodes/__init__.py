"""The built-in plugin: thin typed nodes over the diffusion library."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from nodegraph import hookimpl

MODULES = (
    "loaders", "conditioning", "latent", "sampling", "vae", "image", "saving", "mask", "primitives", "control", "gate",
    "areas", "inpaint", "vae_tiled", "upscaling", "latent_operations", "latent_files", "image_sizes",
    "image_transforms", "image_filters", "image_composition", "animation", "strings", "texts",
    "custom_sampling", "schedulers", "sigmas", "samplers", "model_options", "model_patches", "loras",
    "merging", "model_saving",
)  # fmt: skip


@hookimpl
def register_nodes() -> list[Callable[..., Any]]:
    """Return every function of this package that `@node` marks, in the order in which it is written."""
    modules = [import_module(f"{__name__}.{name}") for name in MODULES]
    functions = (value for module in modules for value in vars(module).values())
    return [function for function in functions if hasattr(function, "__nodegraph_node__")]

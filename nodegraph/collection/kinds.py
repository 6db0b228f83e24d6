"""The kinds of model files and how their folders are called by ComfyUI and by stable-diffusion-webui (A1111)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

WEIGHTS: Final = (".safetensors", ".sft")
PICKLED: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
"""Endings of files that are listed though they are never read: they can be converted."""
OTHERS: Final = (".gguf", ".onnx")
BUNDLE: Final = "model_index.json"
"""What makes a folder one model, as diffusers writes them."""
FOLDERS_ALONE: Final = ("/",)
"""An ending that no file's name has: only folders count."""


@dataclass(frozen=True)
class Kind:
    """A kind of files: its folder's names, the first being the kind's own, and A1111's names for it."""

    folders: tuple[str, ...]
    webui: tuple[str, ...] = ()
    extensions: tuple[str, ...] = WEIGHTS
    bundle: str | None = None

    @property
    def name(self) -> str:
        """The kind's own name."""
        return self.folders[0]


_ALL = (
    Kind(("checkpoints",), ("Stable-diffusion",), bundle=BUNDLE),
    Kind(("diffusion_models", "unet"), ("unet",)),
    Kind(("text_encoders", "clip"), ("text_encoder",)),
    Kind(("vae",), ("VAE",)),
    Kind(("vae_approx",), ("VAE-approx", "VAE-taesd")),
    Kind(("loras",), ("Lora", "LyCORIS")),
    Kind(("embeddings",), ("embeddings",)),
    Kind(("upscale_models",), ("ESRGAN", "RealESRGAN", "BSRGAN", "SwinIR", "DAT")),
    Kind(("controlnet", "t2i_adapter"), ("ControlNet",)),
    Kind(("diffusers",), extensions=FOLDERS_ALONE, bundle=BUNDLE),
    Kind(("clip_vision",)),
    Kind(("style_models",)),
    Kind(("configs",), extensions=(".yaml", ".yml")),
    Kind(("hypernetworks",), ("hypernetworks",)),
    Kind(("gligen",)),
    Kind(("photomaker",)),
    Kind(("classifiers",)),
    Kind(("model_patches",)),
    Kind(("audio_encoders",)),
    Kind(("ipadapter",)),
)
KINDS: Final = MappingProxyType({kind.name: kind for kind in _ALL})
"""Every kind by its own name; the order is that of lists."""
NAMES: Final = MappingProxyType({name: kind.name for kind in _ALL for name in kind.folders})
"""Every name of a kind, ComfyUI's older ones among them -> its own."""
RESERVED: Final = frozenset({"input", "output", "temp", "custom_nodes"})
"""Names that are no kinds of models: folders of pictures, and of code, which is never looked for."""

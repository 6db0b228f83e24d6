"""Configurations of networks read from the names and shapes of their tensors."""

from __future__ import annotations

from itertools import count

from nodegraph.diffusion.models.configs import Activation, AutoencoderConfig, ClipTextConfig, UNetConfig
from nodegraph.diffusion.weights.family import ShapeError, Tensors, shown
from nodegraph.diffusion.weights.hints import Hints

CLIP_VOCABULARY = 49408
CLIP_HEAD_DIM = 64
PROJECTION = "text_projection.weight"


def unet_config(tensors: Tensors, hints: Hints) -> UNetConfig:
    """Read a UNet's configuration from LDM's names."""
    channels, in_channels = _shape(tensors, "input_blocks.0.0.weight", 4)[:2]
    widths, depths, res_blocks = _unet_levels(tensors)
    transformer = _first(tensors, ".transformer_blocks.0.attn2.to_k.weight")
    projection = _first(tensors, ".proj_in.weight")
    return UNetConfig(
        in_channels=in_channels,
        out_channels=_shape(tensors, "out.2.weight", 4)[0],
        channels=channels,
        channel_multipliers=_multipliers("input_blocks", channels, widths),
        res_blocks=res_blocks,
        transformer_depths=tuple(depths),
        middle_depth=_count(tensors, "middle_block.1.transformer_blocks.{}.norm1.weight"),
        context_dim=_shape(tensors, transformer, 2)[1],
        heads=hints.whole("unet", "heads", 8),
        head_dim=hints.whole("unet", "head_dim", 1) if hints.has("unet", "head_dim") else None,
        linear_projection=len(tensors[projection].shape) == 2,
        groups=hints.whole("unet", "groups", 32),
    )


def _unet_levels(tensors: Tensors) -> tuple[list[int], list[int], int]:
    """Return each level's width and transformer depth, and how many residual blocks the first level has."""
    widths: list[int] = []
    depths: list[int] = []
    res_blocks = 0
    new_level = True
    for block in count(1):
        start = f"input_blocks.{block}"
        if f"{start}.0.op.weight" in tensors:
            new_level = True
            continue
        if f"{start}.0.in_layers.2.weight" not in tensors:
            break
        if new_level:
            widths.append(_shape(tensors, f"{start}.0.in_layers.2.weight", 4)[0])
            depths.append(_count(tensors, start + ".1.transformer_blocks.{}.norm1.weight"))
            new_level = False
        res_blocks += len(widths) == 1
    if not widths:
        raise ShapeError("no input_blocks.1.0.in_layers.2.weight")
    return widths, depths, res_blocks


def vae_config(tensors: Tensors, hints: Hints) -> AutoencoderConfig:
    """Read a KL autoencoder's configuration from LDM's names."""
    channels, image_channels = _shape(tensors, "encoder.conv_in.weight", 4)[:2]
    levels = _count(tensors, "encoder.down.{}.block.0.conv1.weight")
    widths = [_shape(tensors, f"encoder.down.{level}.block.0.conv1.weight", 4)[0] for level in range(levels)]
    latent_channels = _shape(tensors, "decoder.conv_in.weight", 4)[1]
    return AutoencoderConfig(
        image_channels=image_channels,
        latent_channels=latent_channels,
        channels=channels,
        channel_multipliers=_multipliers("encoder.down", channels, widths),
        res_blocks=_count(tensors, "encoder.down.0.block.{}.conv1.weight"),
        scale_factor=hints.number("vae", "scale_factor", 0.18215, above=0),
        shift_factor=hints.number("vae", "shift_factor", 0.0),
        quant_conv="quant_conv.weight" in tensors,
        groups=hints.whole("vae", "groups", 32),
        preview_colors=hints.colors("vae", "preview_colors", latent_channels),
    )


def clip_config(
    tensors: Tensors,
    hints: Hints,
    *,
    sections: tuple[str, ...] = ("clip", "clip_l"),
    activation: Activation = "quick_gelu",
    projects: bool = False,
) -> ClipTextConfig:
    """Read a CLIP text encoder's configuration; unless told otherwise a head is 64 wide, as in all that were published.

    The first of `sections` that is told of counts; `activation` is what its kind has, and whether it `projects` what is
    pooled.
    """
    section = next((name for name in sections if name in hints.values), sections[0])
    vocabulary, width = _shape(tensors, "text_model.embeddings.token_embedding.weight", 2)
    # A vocabulary beyond CLIP's was grown by added tokens; a smaller one is cut so that its last token ends a text.
    end_token = min(vocabulary, CLIP_VOCABULARY) - 1
    told = hints.choice(section, "activation", ("quick_gelu", "gelu"), activation)
    return ClipTextConfig(
        vocabulary=vocabulary,
        length=_shape(tensors, "text_model.embeddings.position_embedding.weight", 2)[0],
        width=width,
        layers=_count(tensors, "text_model.encoder.layers.{}.layer_norm1.weight"),
        heads=hints.whole(section, "heads", max(width // CLIP_HEAD_DIM, 1)),
        mlp_width=_shape(tensors, "text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        activation="gelu" if told == "gelu" else "quick_gelu",
        end_token=hints.whole(section, "end_token", end_token),
        projection=_shape(tensors, PROJECTION, 2)[0] if projects else None,
    )


def _shape(tensors: Tensors, key: str, rank: int) -> tuple[int, ...]:
    if key not in tensors:
        raise ShapeError(f"no {key}")
    shape = tensors[key].shape
    if len(shape) != rank:
        raise ShapeError(f"{key} is {shown(shape)}, expected {rank} dimensions")
    return shape


def _first(tensors: Tensors, ending: str) -> str:
    for key in tensors:
        if key.endswith(ending):
            return key
    raise ShapeError(f"no ...{ending}")


def _count(tensors: Tensors, pattern: str) -> int:
    return next(index for index in count() if pattern.format(index) not in tensors)


def _multipliers(place: str, channels: int, widths: list[int]) -> tuple[int, ...]:
    for width in widths:
        if not channels or width % channels:
            raise ShapeError(f"{place}: a width of {width} is no multiple of the first, {channels}")
    return tuple(width // channels for width in widths)

"""Options of a model that act inside its network, or on the difference that guidance makes."""

from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Context, Step, node
from nodegraph.diffusion.values import Model

from .model_options import Patched

Strength = Annotated[float, Field(ge=0, le=10), Step(0.01)]
Share = Annotated[float, Field(ge=0, le=1), Step(0.001)]
Resampling = Literal["bicubic", "nearest-exact", "bilinear", "area", "bislerp"]
UNET = "model_patches/unet"
EXPERIMENTS = "_for_testing/attention_experiments"


@node("SelfAttentionGuidance", title="Self-Attention Guidance", category="_for_testing")
def self_attention_guidance(
    model: Model,
    scale: Annotated[float, Field(ge=-2, le=5), Step(0.01)] = 0.5,
    blur_sigma: Annotated[float, Field(ge=0, le=10), Step(0.1)] = 2.0,
) -> Model:
    """Sharpen what the network looks at: lead away from the picture blurred there (Hong et al. 2023).

    `scale` says how strongly, `blur_sigma` how far the blur reaches, in latent cells of 8 pixels. A step takes half as
    long again.
    """
    from nodegraph.diffusion.sampling.attention_rules import with_self_attention_guidance

    return with_self_attention_guidance(model, scale, blur_sigma) if scale else model


@node("PerturbedAttentionGuidance", category=UNET)
def perturbed_attention_guidance(model: Model, scale: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 3.0) -> Model:
    """Give pictures more structure: lead away from what the network makes without attention (Ahn et al. 2024).

    `scale` says how strongly; with it a lower cfg is enough. It works at cfg 1 too. A step takes half as long again.
    """
    from nodegraph.diffusion.sampling.attention_rules import with_perturbed_attention_guidance

    return with_perturbed_attention_guidance(model, scale) if scale else model


@node("FreeU", category=UNET)
def free_u(model: Model, b1: Strength = 1.1, b2: Strength = 1.2, s1: Strength = 0.9, s2: Strength = 0.2) -> Model:
    """Trade details for structure at no cost (Si et al. 2023): 1 leaves everything as it is.

    `b1` and `b2` make features stronger, at the lowest resolutions and above them; `s1` and `s2` make what by-passes
    them weaker where it is smooth.
    """
    from nodegraph.diffusion.options.free_u import FreeU
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, FreeU(b1, b2, s1, s2), beside=True)


@node("FreeU_V2", category=UNET)
def free_u_v2(model: Model, b1: Strength = 1.3, b2: Strength = 1.4, s1: Strength = 0.9, s2: Strength = 0.2) -> Model:
    """Trade details for structure at no cost, more so where features are strong: 1 leaves everything as it is.

    `b1` and `b2` make features stronger, at the lowest resolutions and above them; `s1` and `s2` make what by-passes
    them weaker where it is smooth.
    """
    from nodegraph.diffusion.options.free_u import FreeU
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, FreeU(b1, b2, s1, s2, structure=True), beside=True)


@node("HyperTile", category=UNET)
def hyper_tile(
    model: Model,
    tile_size: Annotated[int, Field(ge=1, le=2048)] = 256,
    swap_size: Annotated[int, Field(ge=1, le=128)] = 2,
    max_depth: Annotated[int, Field(ge=0, le=10)] = 0,
    scale_depth: bool = False,
) -> Model:
    """Sample large pictures faster: let places attend to those of their own tile alone (Fernandez 2023).

    `tile_size` is the least side of a tile in pixels (32 or more). Each call takes one of the `swap_size` smallest
    sizes that divide the picture evenly, so that seams do not stay in one place. `max_depth` says how many lower
    resolutions are tiled too, and with `scale_depth` their tiles are larger.
    """
    from nodegraph.diffusion.options.hyper_tile import HyperTile
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, HyperTile(tile_size, swap_size, max_depth, scale_depth))


@node("TomePatchModel", category=UNET)
def tome_patch_model(model: Model, ratio: Annotated[float, Field(ge=0, le=1), Step(0.01)] = 0.3) -> Model:
    """Sample faster: let this share of places, those most like another, take its attention (Bolya and Hoffman 2023).

    0 leaves everything as it is; above 0.5 pictures lose details, and at most three of four places are merged.
    """
    from nodegraph.diffusion.options.scene import with_option
    from nodegraph.diffusion.options.token_merging import TokenMerging

    return with_option(model, TokenMerging(ratio))


@node("PatchModelAddDownscale", title="PatchModelAddDownscale (Kohya Deep Shrink)", category=UNET)
def patch_model_add_downscale(
    model: Model,
    *,
    block_number: Annotated[int, Field(ge=1, le=32)] = 3,
    downscale_factor: Annotated[float, Field(ge=0.1, le=9), Step(0.001)] = 2.0,
    start_percent: Share = 0.0,
    end_percent: Share = 0.35,
    downscale_after_skip: bool = True,
    downscale_method: Resampling = "bicubic",
    upscale_method: Resampling = "bicubic",
) -> Model:
    """Make pictures larger than the model knows without doubled figures: lay them out on a smaller map (kohya 2023).

    The map is divided by `downscale_factor` at the input block `block_number`, between two shares of the sampling, and
    made larger again on the way up. With `downscale_after_skip` what by-passes the lower blocks keeps its size there.
    """
    from nodegraph.diffusion.options.downscale import Downscale
    from nodegraph.diffusion.options.scene import with_option

    option = Downscale(
        block_number,
        downscale_factor,
        start_percent,
        end_percent,
        downscale_after_skip,
        downscale_method,
        upscale_method,
    )
    return with_option(model, option, beside=True)


@node("UNetSelfAttentionMultiply", category=EXPERIMENTS)
def unet_self_attention_multiply(
    model: Model, q: Strength = 1.0, k: Strength = 1.0, v: Strength = 1.0, out: Strength = 1.0
) -> Model:
    """Scale the parts of attention of places to one another: what asks, is compared, is taken, and comes out."""
    from nodegraph.diffusion.options.attention import SelfAttentionStrengths
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, SelfAttentionStrengths(q, k, v, out), beside=True)


@node("UNetCrossAttentionMultiply", category=EXPERIMENTS)
def unet_cross_attention_multiply(
    model: Model, q: Strength = 1.0, k: Strength = 1.0, v: Strength = 1.0, out: Strength = 1.0
) -> Model:
    """Scale the parts of attention to the prompt: what asks, what is compared, what is taken, what comes out."""
    from nodegraph.diffusion.options.attention import CrossAttentionStrengths
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, CrossAttentionStrengths(q, k, v, out), beside=True)


@node("APG", title="Adaptive Projected Guidance", category="sampling/custom_sampling")
def adaptive_projected_guidance(
    model: Model,
    eta: Annotated[float, Field(ge=-10, le=10), Step(0.01)] = 1.0,
    norm_threshold: Annotated[float, Field(ge=0, le=50), Step(0.1)] = 5.0,
    momentum: Annotated[float, Field(ge=-5, le=1), Step(0.01)] = 0.0,
) -> Model:
    """Keep a strong cfg from overexposing (Sadat et al. 2024): guide across the picture rather than along it.

    `eta` is the share of what goes along it; `norm_threshold` cuts the difference that guidance makes (0: not at all);
    `momentum` adds a share of what it was before, less than 0 to damp it.
    """
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import AdaptiveProjected

    return with_rule(model, AdaptiveProjected(eta, norm_threshold, momentum))


@node("TCFG", title="Tangential Damping CFG", category="advanced/guidance")
def tangential_damping(model: Model) -> Patched:
    """Take from the negative prompt's noise what the positive one's does not share (Kwon et al. 2025)."""
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import TangentialDamping

    return Patched(with_rule(model, TangentialDamping()))


@node("FreSca", category="_for_testing")
def fre_sca(
    model: Model,
    scale_low: Strength = 1.0,
    scale_high: Strength = 1.25,
    freq_cutoff: Annotated[int, Field(ge=1, le=10000)] = 20,
) -> Model:
    """Scale what guidance changes of the layout and of details by themselves (Huang et al. 2025).

    `freq_cutoff` parts low frequencies from high ones, in cycles over the picture's side.
    """
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import ScaledFrequencies

    return with_rule(model, ScaledFrequencies(scale_low, scale_high, freq_cutoff))


@node(
    "Mahiro",
    title="Mahiro is so cute that she deserves a better guidance function!! (。・ω・。)",
    category="_for_testing",
)
def mahiro(model: Model) -> Patched:
    """Follow the positive prompt alone the more, the more it differs from the negative one."""
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import Leaning

    return Patched(with_rule(model, Leaning()))


@node("RenormCFG", category="advanced/model")
def renorm_cfg(
    model: Model,
    cfg_trunc: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 100.0,
    renorm_cfg: Annotated[float, Field(ge=0, le=100), Step(0.01)] = 1.0,
) -> Model:
    """Keep guided samples from being larger than the positive one times `renorm_cfg` (0: any size).

    There is guidance only below the noise level `cfg_trunc`.
    """
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import Renormalised

    return with_rule(model, Renormalised(cfg_trunc, renorm_cfg))


@node("EpsilonScaling", title="Epsilon Scaling", category=UNET, aliases=("Epsilon Scaling",))
def epsilon_scaling(
    model: Model, scaling_factor: Annotated[float, Field(ge=0.5, le=1.5), Step(0.001)] = 1.005
) -> Model:
    """Divide the noise that the network sees by a little more than 1, so that errors add up less (Ning et al. 2024)."""
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import ScaledNoise

    return with_rule(model, ScaledNoise(scaling_factor))


Least = Annotated[float, Field(ge=0, le=100), Step(0.5)]


@node("VideoLinearCFGGuidance", category="sampling/video_models")
def video_linear_cfg_guidance(model: Model, min_cfg: Least = 1.0) -> Model:
    """Guide each picture of a batch more strongly than the one before, from `min_cfg` up to the sampler's cfg."""
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import FrameGuidance

    return with_rule(model, FrameGuidance(min_cfg))


@node("VideoTriangleCFGGuidance", category="sampling/video_models")
def video_triangle_cfg_guidance(model: Model, min_cfg: Least = 1.0) -> Model:
    """Guide the middle of a batch most strongly, its first and last picture by `min_cfg`."""
    from nodegraph.diffusion.sampling.rules import with_rule
    from nodegraph.diffusion.sampling.shaping_rules import FrameGuidance

    return with_rule(model, FrameGuidance(min_cfg, "triangle"))


@node("ModelComputeDtype", category="advanced/debug/model", settings=("dtype",))
def model_compute_dtype(
    context: Context, model: Model, dtype: Literal["default", "fp32", "fp16", "bf16"] = "default"
) -> Model:
    """Have a model compute at another precision than the others of the run; `default` is the run's.

    `fp32` is exact and slow; `fp16` and `bf16` take half the memory.
    """
    from nodegraph.diffusion.precision import at_precision

    return at_precision(model, context.settings.get("dtype") if dtype == "default" else dtype)


@node("EasyCache", category="advanced/debug/model")
def easy_cache(
    model: Model,
    reuse_threshold: Annotated[float, Field(ge=0, le=3), Step(0.01)] = 0.2,
    start_percent: Annotated[float, Field(ge=0, le=1), Step(0.01)] = 0.15,
    end_percent: Annotated[float, Field(ge=0, le=1), Step(0.01)] = 0.95,
    verbose: bool = False,
) -> Model:
    """Sample faster: leave the network out in steps in which it would change little (Zhou et al. 2025).

    `reuse_threshold` is the share by which its output may have changed, 0 leaves everything as it is. It acts between
    two shares of the sampling. `verbose` logs the steps that are left out.
    """
    from nodegraph.diffusion.options.easy_cache import EasyCache
    from nodegraph.diffusion.options.scene import with_option

    return with_option(model, EasyCache(reuse_threshold, start_percent, end_percent, verbose))

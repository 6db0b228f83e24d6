"""Samplers with their options, for custom sampling."""

from typing import Annotated, Literal

from pydantic import Field

from nodegraph import Choices, Step, node
from nodegraph.diffusion.registry import Sampler, get_sampler, sampler_names
from nodegraph.diffusion.values import Model

Number = Annotated[float, Field(ge=0, le=100), Step(0.01)]
Device = Literal["gpu", "cpu"]
CATEGORY = "sampling/custom_sampling/samplers"


@node("KSamplerSelect", category=CATEGORY)
def ksampler_select(sampler_name: Annotated[str, Choices(sampler_names)]) -> Sampler:
    """Choose a sampler by its name, with the options that it usually has."""
    return get_sampler(sampler_name)


@node("SamplerEulerAncestral", category=CATEGORY)
def sampler_euler_ancestral(eta: Number = 1.0, s_noise: Number = 1.0) -> Sampler:
    """Take Euler steps with noise: `eta` is its share of what the model could take, `s_noise` a factor on it."""
    return get_sampler("euler_ancestral").with_options(eta=eta, s_noise=s_noise)


@node("SamplerEulerAncestralCFGPP", title="SamplerEulerAncestralCFG++", category=CATEGORY)
def sampler_euler_ancestral_cfg_pp(
    eta: Annotated[float, Field(ge=0, le=1), Step(0.01)] = 1.0,
    s_noise: Annotated[float, Field(ge=0, le=10), Step(0.01)] = 1.0,
) -> Sampler:
    """Take Euler steps with noise along the unconditional slope, for a low cfg of 1 or 2 (CFG++)."""
    return get_sampler("euler_ancestral_cfg_pp").with_options(eta=eta, s_noise=s_noise)


@node("SamplerEulerCFGpp", title="SamplerEulerCFG++", category="_for_testing")
def sampler_euler_cfg_pp(version: Literal["regular", "alternative"] = "regular") -> Sampler:
    """Take Euler steps along the unconditional slope, for a low cfg of 1 or 2 (CFG++)."""
    if version == "regular":
        return get_sampler("euler_cfg_pp")
    return Sampler("euler_alternative_cfg_pp", "nodegraph.diffusion.sampling.cfg_pp:euler_alternative_cfg_pp")


@node("SamplerLMS", category=CATEGORY)
def sampler_lms(order: Annotated[int, Field(ge=1, le=100)] = 4) -> Sampler:
    """Extrapolate from the slopes of the last `order` steps."""
    return get_sampler("lms").with_options(order=order)


@node("SamplerDPMPP_3M_SDE", category=CATEGORY)
def sampler_dpmpp_3m_sde(eta: Number = 1.0, s_noise: Number = 1.0, noise_device: Device = "gpu") -> Sampler:
    """Extrapolate from the last three steps, with noise, which is drawn on the GPU or, the same anywhere, the CPU."""
    return _on("dpmpp_3m_sde", noise_device).with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_2M_SDE", category=CATEGORY)
def sampler_dpmpp_2m_sde(
    solver_type: Literal["midpoint", "heun"] = "midpoint",
    eta: Number = 1.0,
    s_noise: Number = 1.0,
    noise_device: Device = "gpu",
) -> Sampler:
    """Extrapolate from the last two steps, with noise, which is drawn on the GPU or, the same anywhere, the CPU."""
    name = "dpmpp_2m_sde" if solver_type == "midpoint" else "dpmpp_2m_sde_heun"
    return _on(name, noise_device).with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMPP_SDE", category=CATEGORY)
def sampler_dpmpp_sde(
    eta: Number = 1.0, s_noise: Number = 1.0, r: Number = 0.5, noise_device: Device = "gpu"
) -> Sampler:
    """Look at the share `r` of each step before taking it, with noise from the GPU or, the same anywhere, the CPU."""
    return _on("dpmpp_sde", noise_device).with_options(eta=eta, s_noise=s_noise, r=r)


@node("SamplerDPMPP_2S_Ancestral", category=CATEGORY)
def sampler_dpmpp_2s_ancestral(eta: Number = 1.0, s_noise: Number = 1.0) -> Sampler:
    """Look half-way into each step before taking it, with noise."""
    return get_sampler("dpmpp_2s_ancestral").with_options(eta=eta, s_noise=s_noise)


@node("SamplerDPMAdaptative", category=CATEGORY)
def sampler_dpm_adaptive(
    order: Annotated[int, Field(ge=2, le=3)] = 3,
    rtol: Number = 0.05,
    atol: Number = 0.0078,
    h_init: Number = 0.05,
    pcoeff: Number = 0.0,
    icoeff: Number = 1.0,
    dcoeff: Number = 0.0,
    accept_safety: Number = 0.81,
    eta: Number = 0.0,
    s_noise: Number = 1.0,
) -> Sampler:
    """Choose the steps by the error that they make; how many noise levels there are does not matter.

    `rtol` and `atol` say how large the error may be, `h_init` how large the first step is; the coefficients are those
    of the controller that sets the next, and `accept_safety` says which steps are tried again.
    """
    return get_sampler("dpm_adaptive").with_options(
        order=order,
        rtol=rtol,
        atol=atol,
        h_init=h_init,
        pcoeff=pcoeff,
        icoeff=icoeff,
        dcoeff=dcoeff,
        accept_safety=accept_safety,
        eta=eta,
        s_noise=s_noise,
    )


@node("SamplerER_SDE", category=CATEGORY)
def sampler_er_sde(
    solver_type: Literal["ER-SDE", "Reverse-time SDE", "ODE"] = "ER-SDE",
    max_stage: Annotated[int, Field(ge=1, le=3)] = 3,
    eta: Number = 1.0,
    s_noise: Number = 1.0,
) -> Sampler:
    """Extrapolate from the last `max_stage` steps, with noise by the type; "Reverse-time SDE" has `eta`."""
    options = {"solver_type": solver_type, "max_stage": max_stage, "eta": eta, "s_noise": s_noise}
    return get_sampler("er_sde").with_options(**options)


@node("SamplerSASolver", category=CATEGORY)
def sampler_sa_solver(
    *,
    model: Model,
    eta: Annotated[float, Field(ge=0, le=10), Step(0.01)] = 1.0,
    sde_start_percent: Annotated[float, Field(ge=0, le=1), Step(0.001)] = 0.2,
    sde_end_percent: Annotated[float, Field(ge=0, le=1), Step(0.001)] = 0.8,
    s_noise: Number = 1.0,
    predictor_order: Annotated[int, Field(ge=1, le=6)] = 3,
    corrector_order: Annotated[int, Field(ge=0, le=6)] = 4,
    use_pece: bool = False,
    simple_order_2: bool = False,
) -> Sampler:
    """Predict from the last steps and correct, with noise between two shares of the sampling of `model`.

    `use_pece` asks the model again after each correction; `simple_order_2` takes simpler weights at order 2.
    """
    from nodegraph.diffusion.sampling.tables import table_of

    return get_sampler("sa_solver").with_options(
        eta=eta,
        interval=tuple(table_of(model.schedule).percent_to_sigma(p) for p in (sde_start_percent, sde_end_percent)),
        s_noise=s_noise,
        predictor_order=predictor_order,
        corrector_order=corrector_order,
        use_pece=use_pece,
        simple_order_2=simple_order_2,
    )


@node("SamplerLCMUpscale", category=CATEGORY)
def sampler_lcm_upscale(
    scale_ratio: Annotated[float, Field(ge=0.1, le=20), Step(0.01)] = 1.0,
    scale_steps: Annotated[int, Field(ge=-1, le=1000), Step(1)] = -1,
    upscale_method: Literal["bislerp", "nearest-exact", "bilinear", "area", "bicubic"] = "bislerp",
) -> Sampler:
    """Noise the clean sample anew at each step, and let it grow to `scale_ratio` over the first `scale_steps`.

    -1 stands for half of the steps. For consistency models; without areas, masks and inpainting.
    """
    return Sampler("lcm_upscale", "nodegraph.diffusion.sampling.lcm_upscale:lcm_upscale").with_options(
        scale_ratio=scale_ratio, scale_steps=scale_steps, upscale_method=upscale_method
    )


def _on(name: str, device: Device) -> Sampler:
    return get_sampler(f"{name}_gpu" if device == "gpu" else name)

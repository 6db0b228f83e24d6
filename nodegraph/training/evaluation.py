"""Scores a trained model: prompts whose combinations were kept out of training, pictures, the checker's verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage

from nodegraph.diffusion.autoencoding import decode
from nodegraph.diffusion.models.clip import ClipText
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.sampling.ksampler import sample
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import (
    Clip,
    Conditioning,
    ConditioningEntry,
    Latent,
    LatentFormat,
    Model,
    Placed,
    Prediction,
    Vae,
)
from nodegraph.training.captions import draw_caption, plain_caption
from nodegraph.training.checker import Verdict, judge
from nodegraph.training.scenes import SIDE, Scene, draw_scene
from nodegraph.training.styles import FLAT, Style


@dataclass(frozen=True)
class Settings:
    """How pictures are sampled; the defaults are those of the bundled workflow."""

    sampler: str = "dpmpp_2m"
    scheduler: str = "karras"
    steps: int = 20
    cfg: float = 3.0
    batch: int = 1


@dataclass(frozen=True)
class Networks:
    """The three networks of a trained model."""

    unet: UNet
    clip: ClipText
    vae: Autoencoder
    prediction: Prediction = "v"


@dataclass(frozen=True)
class Trial:
    """A prompt, the scene that it tells, the picture it gave (H, W, 3) and what the checker says."""

    prompt: str
    scene: Scene
    picture: NDArray[np.uint8]
    verdict: Verdict


def held_out_scenes(count: int, seed: int = 2026) -> list[Scene]:
    """Draw scenes, all different, whose combinations training never sees; each size is told."""
    rng = np.random.default_rng(seed)
    scenes: dict[Scene, None] = {}
    while len(scenes) < count:
        scene = draw_scene(rng, "held out")
        if all(item.size != "medium" for item in scene.items):
            scenes[scene] = None
    return list(scenes)


def evaluate(
    networks: Networks, scenes: Sequence[Scene], settings: Settings, *, plain: bool = True, style: Style = FLAT
) -> list[Trial]:
    """Draw a picture of each scene, the n-th with seed n, and judge it."""
    rng = np.random.default_rng(0)
    prompts = [plain_caption(scene) if plain else draw_caption(scene, rng) for scene in scenes]
    pictures = draw_pictures(networks, prompts, settings)
    return [Trial(prompt, scene, picture, judge(picture, scene, style))
            for prompt, scene, picture in zip(prompts, scenes, pictures, strict=True)]  # fmt: skip


@torch.no_grad()
def draw_pictures(
    networks: Networks, prompts: Sequence[str], settings: Settings, seed: int = 0
) -> list[NDArray[np.uint8]]:
    """Sample a picture (128, 128, 3) of each prompt; a batch shares the seed of its first prompt."""
    config = networks.vae.config
    latent_format = LatentFormat(config.latent_channels, config.scale_factor, config.shift_factor)
    model = Model(Placed(networks.unet), networks.prediction, latent=latent_format)
    clip = Clip(Placed(networks.clip), clip_tokenizer())
    negative, side = encode_prompt(clip, ""), SIDE // config.downscale
    pictures: list[NDArray[np.uint8]] = []
    for start in range(0, len(prompts), settings.batch):
        chunk = prompts[start : start + settings.batch]
        embeddings = torch.cat([encode_prompt(clip, prompt).entries[0].embedding for prompt in chunk])
        empty = Latent(torch.zeros(len(chunk), config.latent_channels, side, side))
        run = sample(
            model,
            Conditioning((ConditioningEntry(embeddings),)),
            negative,
            empty,
            seed=seed + start,
            steps=settings.steps,
            cfg=settings.cfg,
            sampler=settings.sampler,
            scheduler=settings.scheduler,
        )
        images = decode(Vae(Placed(networks.vae)), run.result().samples)  # (B, H, W, 3)
        pictures.extend((images.clamp(0, 1) * 255).byte().numpy())
    return pictures


def passed(trials: Sequence[Trial]) -> float:
    """Return the share of pictures with everything right."""
    return sum(trial.verdict.passed for trial in trials) / len(trials)


def table(trials: Sequence[Trial]) -> dict[str, float]:
    """Return the share of pictures in which each thing is right, by what is judged, and by count of objects."""
    names = [field.name for field in fields(Verdict) if field.name != "complaints"]
    shares = {"everything": passed(trials)}
    shares |= {name: sum(getattr(trial.verdict, name) for trial in trials) / len(trials) for name in names}
    for count, word in ((1, "one object"), (2, "two objects")):
        some = [trial for trial in trials if len(trial.scene.items) == count]
        if some:
            shares[f"everything, {word}"] = passed(some)
    return shares


def contact_sheet(pictures: Sequence[NDArray[np.uint8]], columns: int = 8, gap: int = 4) -> PilImage.Image:
    """Lay pictures (H, W, 3) of one size out in rows on white."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = PilImage.new("RGB", (columns * (width + gap) + gap, rows * (height + gap) + gap), "white")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(PilImage.fromarray(picture), (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet

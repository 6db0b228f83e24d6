"""Trains, exports and judges the bundled models: `python -m nodegraph.training.shapes train --output DIR`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from nodegraph.diffusion.weights.load import load_checkpoint
from nodegraph.diffusion.weights.save import save_checkpoint
from nodegraph.training.evaluation import Networks, Settings, Trial, contact_sheet, evaluate, held_out_scenes, table
from nodegraph.training.latents import draw_scenes, preview_colors
from nodegraph.training.lora import LoraRecipe, export_lora, train_lora
from nodegraph.training.recipe import Recipe, load_polished, load_text, load_unet, train
from nodegraph.training.restyling import RestyleRecipe, restyle
from nodegraph.training.styles import FLAT, HOLLOW, NIGHT, STYLES
from nodegraph.training.upscaler import UpscalerRecipe, UpscalingTask, export_upscaler, gain, train_upscaler

BASE = Path(__file__).resolve().parent.parent / "models" / "checkpoints" / "shapes.safetensors"
LICENCE = "Apache-2.0"
ABOUT = {
    "title": "shapes",
    "licence": LICENCE,
    "description": "Flat shapes on a plain background, 128 x 128; trained from scratch on procedurally drawn scenes.",
}

DTYPES = {"default": None, "fp32": torch.float32, "bf16": torch.bfloat16}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    console = Console()
    match options.command:
        case "train":
            train(options.output, Recipe(), options.workers)
            export(options.output, options.output / "shapes.safetensors", Recipe())
        case "export":
            export(options.output, options.file, Recipe())
        case "restyle":
            restyled(options.base, options.output, replace(RestyleRecipe(), style=STYLES[options.style]))
        case "lora":
            adapted(options.base, options.output, replace(LoraRecipe(), style=STYLES[options.style]))
        case "upscaler":
            network = train_upscaler(options.output, UpscalerRecipe())
            export_upscaler(options.output / f"shapes_{network.config.scale}x.safetensors", network)
            better = gain(network, UpscalingTask(UpscalerRecipe()))
            console.print(f"{better:.1f} dB nearer to pictures drawn large than bicubic enlargement is")
        case "evaluate":
            trials = _trials(options.file, options.count, options)
            _show(console, trials)
        case "sheet":
            trials = _trials(options.file, options.count, options)
            contact_sheet([trial.picture for trial in trials]).save(options.picture, optimize=True)
            console.print(f"{options.picture}: {sum(trial.verdict.passed for trial in trials)} of {len(trials)} right")
    return 0


def export(directory: Path, file: Path, recipe: Recipe) -> Path:
    """Write the averaged networks of a training folder as one checkpoint in float16."""
    unet, clip, vae = load_unet(directory, recipe), load_text(directory, recipe), load_polished(directory, recipe)
    colors = preview_colors(vae, draw_scenes(recipe.probes // 5, recipe.seed + 3), recipe.seed + 3)
    vae.config = replace(vae.config, preview_colors=colors)
    return save_checkpoint(
        file,
        {"unet": unet, "clip": clip, "vae": vae},
        dtype=torch.float16,
        prediction=recipe.denoising.prediction,
        about=ABOUT,
    )


def restyled(base: Path, directory: Path, recipe: RestyleRecipe) -> Path:
    """Train a model's second style in a folder; write it there as a checkpoint in float16."""
    networks = restyle(directory, load_networks(base, torch.float32), recipe)
    scenes = draw_scenes(recipe.scenes // 30, recipe.seed + 3)
    colors = preview_colors(networks.vae, scenes, recipe.seed + 3, style=recipe.style)
    networks.vae.config = replace(networks.vae.config, preview_colors=colors)
    return save_checkpoint(
        directory / f"shapes_{recipe.style.name}.safetensors",
        {"unet": networks.unet, "clip": networks.clip, "vae": networks.vae},
        prediction=networks.prediction,
        about={"title": f"shapes {recipe.style.name}", "licence": LICENCE, "description": recipe.style.description},
    )


def adapted(base: Path, directory: Path, recipe: LoraRecipe) -> Path:
    """Train a LoRA of a style in a folder; write it there in float16."""
    networks = load_networks(base, torch.float32)
    changes = train_lora(directory, networks, recipe)
    name = f"shapes_{recipe.style.name}"
    metadata = {
        "ss_output_name": name,
        "ss_base_model_version": "sd_v1",
        "ss_sd_model_name": base.name,
        "modelspec.title": f"shapes {recipe.style.name}",
        "modelspec.license": LICENCE,
        "modelspec.description": recipe.style.description,
    }
    return export_lora(directory / f"{name}.safetensors", changes, networks, metadata)


def load_networks(file: Path, dtype: torch.dtype | None = None) -> Networks:
    """Load a checkpoint on the CPU, at the precision that workflows run at here if none is told."""
    checkpoint = load_checkpoint(file, device="cpu", dtype=dtype)
    return Networks(checkpoint.unet, checkpoint.clip, checkpoint.vae, checkpoint.prediction)


def _trials(file: Path, count: int, options: argparse.Namespace) -> list[Trial]:
    settings = Settings(**{name: getattr(options, name) for name in asdict(Settings())})
    return evaluate(
        load_networks(file, DTYPES[options.dtype]),
        held_out_scenes(count),
        settings,
        plain=not options.varied,
        style=STYLES[options.style],
    )


def _show(console: Console, trials: Sequence[Trial]) -> None:
    shown = Table("right", "share", title=f"{len(trials)} prompts kept out of training")
    for name, share in table(trials).items():
        shown.add_row(name, f"{100 * share:.1f} %")
    console.print(shown)
    for trial in trials:
        if not trial.verdict.passed:
            console.print(f"{trial.prompt}: {'; '.join(trial.verdict.complaints)}", highlight=False)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodegraph.training.shapes", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train all stages and export; run again to go on")
    training.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints")
    training.add_argument("--workers", type=int, default=2, help="processes that train together (default: 2)")
    exporting = commands.add_parser("export", help="write a training folder's networks as one checkpoint")
    exporting.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints")
    exporting.add_argument("file", type=Path, help="the .safetensors file to write")
    command = commands.add_parser("upscaler", help="train a network that makes pictures larger; run again to go on")
    command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints")
    for name, style, text in (
        ("restyle", NIGHT, "teach a model another style, and export; run again to go on"),
        ("lora", HOLLOW, "train a LoRA of a style; run again to go on"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of checkpoints")
        command.add_argument(
            "--base", type=Path, default=BASE, metavar="FILE", help="the model (default: the bundled one)"
        )
        command.add_argument("--style", choices=STYLES, default=style.name, help="(default: %(default)s)")
    for name, count, text in (("evaluate", 200, "score"), ("sheet", 48, "draw a contact sheet of")):
        command = commands.add_parser(name, help=f"{text} prompts that training never saw")
        command.add_argument("file", type=Path, help="the checkpoint")
        command.add_argument("--count", type=int, default=count, help=f"how many prompts (default: {count})")
        command.add_argument("--style", choices=STYLES, default=FLAT.name, help="how they are drawn (default: flat)")
        command.add_argument("--varied", action="store_true", help="word the prompts freely, as training does")
        for field, default in asdict(Settings()).items():
            command.add_argument(f"--{field}", type=type(default), default=default, help=f"(default: {default})")
        command.add_argument("--dtype", choices=DTYPES, default="default", help="precision (default: as workflows run)")
        if name == "sheet":
            command.add_argument("--picture", type=Path, default=Path("sheet.png"), help="the PNG file to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""The recipe, in miniature: every stage learns, the command line trains, exports and judges."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import AutoencoderConfig
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.training import shapes
from nodegraph.training.autoencoder import ReconstructionConfig
from nodegraph.training.denoising import DenoisingConfig, DenoisingTask, LatentScenes
from nodegraph.training.evaluation import Settings, contact_sheet, draw_pictures, evaluate, held_out_scenes, table
from nodegraph.training.latents import draw_scenes
from nodegraph.training.loop import Draws, Loop, LoopConfig
from nodegraph.training.polishing import PolishingConfig, PolishingTask
from nodegraph.training.reading import ReadingConfig, ReadingTask
from nodegraph.training.recipe import Recipe, load_autoencoder, load_polished, load_text, load_unet, train
from nodegraph.training.scenes import is_held_out

TEXT = ClipTextConfig(width=16, layers=1, heads=2, mlp_width=32)
UNET = UNetConfig(
    channels=8, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=16, heads=2, groups=4
)
SHORT = LoopConfig(steps=2, warmup=1)
TINY = Recipe(
    vae=AutoencoderConfig(channels=4, channel_multipliers=(1, 1, 1, 2), res_blocks=1, groups=2),
    clip=TEXT,
    unet=UNET,
    reconstruction=ReconstructionConfig(batch=2, crop=32),
    reading=ReadingConfig(batch=4, width=16, heads=2),
    denoising=DenoisingConfig(batch=4, autocast=False),
    autoencoder_loop=SHORT,
    text_loop=SHORT,
    unet_loop=SHORT,
    polishing=PolishingConfig(batch=2, cells=4, steps=2, autocast=False),
    polishing_loop=SHORT,
    scenes=8,
    probes=50,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    train(directory, TINY, 1)
    return directory


def test_text_encoder_learns_to_read() -> None:
    torch.manual_seed(0)
    task = ReadingTask(ClipText(TEXT), clip_tokenizer(), ReadingConfig(batch=16, width=16, heads=2))
    loop = Loop(task, task.loss, LoopConfig(steps=40, learning_rate=1e-2, warmup=5), Path())
    losses = [loop.advance() for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert 0 <= task.accuracy(draw_scenes(4, 0), np.random.default_rng(0)) <= 1


def test_unet_learns_to_denoise_two_scenes() -> None:
    torch.manual_seed(0)
    data = LatentScenes(draw_scenes(2, 0), torch.randn(2, 4, 8, 8))
    config = DenoisingConfig(batch=8, autocast=False)
    task = DenoisingTask(UNet(UNET), ClipText(TEXT), clip_tokenizer(), data, config)
    loop = Loop(task, task.loss, LoopConfig(steps=60, learning_rate=5e-3, warmup=5), Path())
    losses = [loop.advance() for _ in range(60)]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_text_encoder_is_no_part_of_what_the_unet_stage_trains() -> None:
    data = LatentScenes(draw_scenes(2, 0), torch.zeros(2, 4, 8, 8))
    task = DenoisingTask(UNet(UNET), ClipText(TEXT), clip_tokenizer(), data, DenoisingConfig(batch=4))
    assert all(name.startswith("unet.") for name in task.state_dict())
    dropped = replace(task.config, drop=1.0)
    task.config = dropped
    context = task.context(torch.tensor([0, 1]), Draws.of(0, 0))
    assert torch.equal(context[0], context[1])  # both captions are left out


def test_all_stages_run_and_a_second_run_changes_nothing(trained: Path) -> None:
    before = load_unet(trained, TINY).state_dict()
    train(trained, TINY, 1)
    after = load_unet(trained, TINY).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_polishing_moves_the_decoder_and_leaves_the_encoder(trained: Path) -> None:
    before, after = load_autoencoder(trained, TINY).state_dict(), load_polished(trained, TINY).state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"decoder", "post_quant_conv"}


def test_a_network_that_knows_the_noise_redraws_what_was_there(trained: Path) -> None:
    clean = torch.randn(3, 4, 4, 4)
    task = PolishingTask(load_autoencoder(trained, TINY), load_unet(trained, TINY), load_text(trained, TINY),
                         clip_tokenizer(), TINY.polishing)  # fmt: skip

    class Oracle(torch.nn.Module):
        """Tells the velocity that leads to the clean sample."""

        def forward(self, x: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
            share = task.alpha_bar[timestep.long()].float().view(-1, 1, 1, 1)
            velocity: torch.Tensor = (share.sqrt() * x - clean) / (1 - share).sqrt()
            return velocity

    task._frozen = (Oracle(), task._frozen[1])  # type: ignore[assignment]
    redrawn = task.redraw(clean, torch.zeros(3, 1, 16), torch.Generator().manual_seed(0))
    torch.testing.assert_close(redrawn, clean, atol=1e-4, rtol=1e-4)


def test_exported_model_draws_what_the_trained_networks_draw(trained: Path, tmp_path: Path) -> None:
    networks = shapes.load_networks(shapes.export(trained, tmp_path / "tiny.safetensors", TINY))
    assert networks.prediction == "v"
    settings = Settings(steps=2, batch=2)
    pictures = draw_pictures(networks, ["a red circle", "a blue square"], settings)
    assert [picture.shape for picture in pictures] == [(128, 128, 3)] * 2
    assert all(np.array_equal(a, b) for a, b in zip(pictures, draw_pictures(
        networks, ["a red circle", "a blue square"], settings), strict=True))  # fmt: skip


def test_score_of_an_untrained_model_is_nothing(trained: Path, tmp_path: Path) -> None:
    networks = shapes.load_networks(shapes.export(trained, tmp_path / "tiny.safetensors", TINY))
    trials = evaluate(networks, held_out_scenes(4), Settings(steps=1, batch=4))
    shares = table(trials)
    assert shares["everything"] == 0
    assert set(shares) >= {"count", "background", "colours", "shapes", "sizes", "arrangement"}


def test_prompts_of_the_score_are_held_out_and_all_different() -> None:
    scenes = held_out_scenes(200)
    assert len(set(scenes)) == 200
    assert all(is_held_out(scene) for scene in scenes)
    assert scenes == held_out_scenes(200)


def test_sheet_has_a_place_for_every_picture() -> None:
    pictures = [np.full((8, 8, 3), value, np.uint8) for value in (0, 50, 100)]
    sheet = contact_sheet(pictures, columns=2, gap=1)
    assert sheet.size == (19, 19)
    assert [sheet.getpixel((x, y)) for x, y in ((1, 1), (10, 1), (1, 10))] == [(v, v, v) for v in (0, 50, 100)]


def test_command_line_exports_judges_and_draws_a_sheet(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shapes, "Recipe", lambda: TINY)
    file, picture = tmp_path / "shapes.safetensors", tmp_path / "sheet.png"
    assert shapes.main(["export", "--output", str(trained), str(file)]) == 0
    assert shapes.main(["evaluate", str(file), "--count", "2", "--steps", "1"]) == 0
    assert "2 prompts kept out of training" in capsys.readouterr().out
    assert shapes.main(["sheet", str(file), "--count", "2", "--steps", "1", "--picture", str(picture)]) == 0
    assert picture.stat().st_size > 100

"""Teaches a text encoder to read captions before any picture is drawn.

A small reader looks at the encoder's output with one query a cell of a coarse grid and has to tell which colour, shape
and size lie there. What it asks for is what the UNet's cross-attention will ask for, at a hundredth of the price.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.training.captions import draw_caption
from nodegraph.training.loop import Draws
from nodegraph.training.scenes import COLOURS, SHAPES, SIDE, SIZES, Placed, Scene, draw_scene, nominal_places

GRID = 8
KINDS = (len(COLOURS), len(SHAPES) + 1, len(SIZES) + 1)  # classes a cell: colour; shape and size, 0 for background


@dataclass(frozen=True)
class ReadingConfig:
    """Size of the reader and of its batches."""

    batch: int = 128
    width: int = 64
    heads: int = 4


class Reader(nn.Module):
    """Tells what lies in each cell of the grid from a text encoder's output."""

    def __init__(self, context_width: int, config: ReadingConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.queries = nn.Parameter(torch.randn(GRID * GRID, config.width) * 0.5)
        self.to_k = nn.Linear(context_width, config.width, bias=False)
        self.to_v = nn.Linear(context_width, config.width, bias=False)
        self.mlp = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, sum(KINDS)),
        )

    def forward(self, context: Tensor) -> Tensor:
        """Map context (B, T, D) to logits (B, cells, classes of all kinds)."""
        queries = self.queries.expand(len(context), -1, -1)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, cells or T, width / heads)
            for part in (queries, self.to_k(context), self.to_v(context))
        )
        return self.mlp(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class ReadingTask(nn.Module):
    """A text encoder with its reader; the loss is the cross-entropy of the cells."""

    def __init__(self, text: ClipText, tokenizer: Tokenizer, config: ReadingConfig) -> None:
        super().__init__()
        self.text, self.tokenizer, self.config = text, tokenizer, config
        self.reader = Reader(text.config.width, config)

    def loss(self, draws: Draws) -> Tensor:
        """Return the loss of a batch of new scenes."""
        logits, cells = self.answers([draw_scene(draws.numpy) for _ in range(self.config.batch)], draws.numpy)
        parts = zip(logits.split(KINDS, dim=-1), cells.unbind(-1), strict=True)
        return torch.stack([F.cross_entropy(part.flatten(0, 1), right.flatten()) for part, right in parts]).sum()

    def answers(self, scenes: Sequence[Scene], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return logits (B, cells, classes) for drawn captions, and the right classes (B, cells, 3)."""
        tokens = tokenize([draw_caption(scene, rng) for scene in scenes], self.tokenizer, self.text.config.length)
        cells = torch.from_numpy(np.stack([cells_of(scene) for scene in scenes]))
        return self.reader(self.text(tokens).last), cells

    @torch.no_grad()
    def accuracy(self, scenes: Sequence[Scene], rng: np.random.Generator) -> float:
        """Return the share of scenes all of whose cells are read right."""
        logits, cells = self.answers(scenes, rng)
        told = torch.stack([part.argmax(-1) for part in logits.split(KINDS, dim=-1)], dim=-1)
        return float((told == cells).flatten(1).all(1).float().mean())


def tokenize(captions: Sequence[str], tokenizer: Tokenizer, length: int = 77) -> Tensor:
    """Return token ids (B, length): start, text, end, then end tokens to the full length, as SD 1.x pads."""
    rows = np.full((len(captions), length), tokenizer.end, np.int64)
    for row, caption in zip(rows, captions, strict=True):
        ids = [tokenizer.start, *tokenizer.encode(caption)][: length - 1]
        row[: len(ids)] = ids
    return torch.from_numpy(rows)


def cells_of(scene: Scene) -> NDArray[np.int64]:
    """Return (cells, 3): each cell's colour, shape and size where every item lies at its nominal place."""
    middles = (np.arange(GRID) + 0.5) * SIDE / GRID
    cells = np.zeros((GRID, GRID, 3), np.int64)
    cells[..., 0] = COLOURS.index(scene.background)
    for placed in nominal_places(scene):
        away = np.hypot(middles[None, :] - placed.x, middles[:, None] - placed.y)
        cells[away < max(0.42 * placed.across, 12)] = _classes(placed)
    return cells.reshape(-1, 3)


def _classes(placed: Placed) -> tuple[int, int, int]:
    item = placed.item
    return COLOURS.index(item.colour), SHAPES.index(item.shape) + 1, list(SIZES).index(item.size) + 1

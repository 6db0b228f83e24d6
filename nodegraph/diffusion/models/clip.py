"""CLIP's text encoder (Radford et al. 2021); attributes carry the names of the published files."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.configs import ClipTextConfig

__all__ = ["ClipText", "ClipTextConfig", "ClipTextOutput"]


@dataclass(frozen=True, slots=True)
class ClipTextOutput:
    """What a text encoder says: each layer's tokens, the normed last ones, one vector a text.

    `hidden[0]` are the embeddings and `hidden[n]` the output of layer n, not normed, each (B, T, D);
    `last` is (B, T, D); `pooled` (B, D) is `last` at the first end token, or its projection (B, P) where there is one.
    """

    hidden: tuple[Tensor, ...]
    last: Tensor
    pooled: Tensor


class SelfAttention(nn.Module):
    """Multi-head attention of tokens to those before them."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(config.width, config.width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, T, D / heads)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """The token-wise network of a layer."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.quick = config.activation == "quick_gelu"
        self.fc1 = nn.Linear(config.width, config.mlp_width)
        self.fc2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h) if self.quick else F.gelu(h))  # type: ignore[no-any-return]


class Layer(nn.Module):
    """Self-attention and a token-wise network, each normed before and added."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width)
        self.self_attn = SelfAttention(config)
        self.layer_norm2 = nn.LayerNorm(config.width)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))  # type: ignore[no-any-return]


class Embeddings(nn.Module):
    """Vectors of tokens and of their positions."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.position_embedding = nn.Embedding(config.length, config.width)
        # CLIP's own start; torch's unit variance would drown what the layers add.
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position_embedding.weight, std=0.01)

    def forward(self, tokens: Tensor, embeddings: Tensor | None = None, places: Tensor | None = None) -> Tensor:
        """Map tokens (B, T), or their vectors (B, T, D) if given (at `places`), to (B, T, D) with positions added."""
        vectors: Tensor
        if embeddings is None:
            vectors = self.token_embedding(tokens)
        elif places is None:
            vectors = embeddings
        else:
            own = self.token_embedding(tokens)
            vectors = torch.where(places.unsqueeze(-1), embeddings.to(own.dtype), own)
        positions: Tensor = self.position_embedding.weight[: vectors.shape[1]]
        return vectors + positions


class Encoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return x (B, T, D) and the output of each layer."""
        hidden = [x]
        for layer in self.layers:
            hidden.append(layer(hidden[-1]))
        return tuple(hidden)


class TextModel(nn.Module):
    """Everything below the `text_model.` of a published file's names."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.final_layer_norm = nn.LayerNorm(config.width)


class ClipText(nn.Module):
    """Encode tokenized text for conditioning."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.config = config
        self.text_model = TextModel(config)
        self.text_projection: nn.Linear | None = None
        if config.projection is not None:
            self.text_projection = nn.Linear(config.width, config.projection, bias=False)

    def forward(self, tokens: Tensor, embeddings: Tensor | None = None, places: Tensor | None = None) -> ClipTextOutput:
        """Encode tokens (B, T), T at most `config.length`; `embeddings` (B, T, D) stand in for the tokens' own vectors.

        With `places` (B, T) of booleans they do so where it is true alone. The tokens still tell where a text ends:
        `pooled` is taken at the first end token, or at position 0 where a row has none.
        """
        hidden = self.text_model.encoder(self.text_model.embeddings(tokens, embeddings, places))
        last = self.normalize(hidden[-1])
        end = (tokens == self.config.end_token).int().argmax(dim=-1)  # (B,)
        pooled = last[torch.arange(len(last), device=last.device), end]
        return ClipTextOutput(hidden, last, pooled if self.text_projection is None else self.text_projection(pooled))

    def normalize(self, hidden: Tensor) -> Tensor:
        """Apply the final layer norm to a layer's output (B, T, D)."""
        return self.text_model.final_layer_norm(hidden)  # type: ignore[no-any-return]

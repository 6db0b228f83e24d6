"""The CLIP text encoder against transformers' on the same random weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig

transformers = pytest.importorskip("transformers")

CONFIG = ClipTextConfig(vocabulary=100, width=32, layers=3, heads=4, mlp_width=64, end_token=98)


def random_encoder(config: ClipTextConfig) -> ClipText:
    torch.manual_seed(0)
    network = ClipText(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
    return network


def reference(network: ClipText) -> torch.nn.Module:
    config = network.config
    model = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=config.vocabulary,
            max_position_embeddings=config.length,
            hidden_size=config.width,
            intermediate_size=config.mlp_width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            hidden_act=config.activation,
            eos_token_id=config.end_token,
            bos_token_id=97,
            pad_token_id=1,
        )
    ).eval()
    state = network.state_dict()
    if "embeddings.token_embedding.weight" in model.state_dict():  # transformers 5 dropped the prefix
        state = {key.removeprefix("text_model."): value for key, value in state.items()}
    model.load_state_dict(state, strict=True)
    return model  # type: ignore[no-any-return]


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, activation="gelu")], ids=["quick_gelu", "gelu"])
@torch.no_grad()
def test_every_layer_agrees_with_transformers(config: ClipTextConfig) -> None:
    network = random_encoder(config)
    tokens = torch.randint(0, 97, (3, 77), generator=torch.Generator().manual_seed(1))
    for row, end in enumerate((5, 40, 76)):
        tokens[row, end:] = config.end_token
    expected = reference(network)(tokens, output_hidden_states=True)
    output = network(tokens)
    assert len(output.hidden) == len(expected.hidden_states) == config.layers + 1
    for got, wanted in zip(output.hidden, expected.hidden_states, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.last, expected.last_hidden_state, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.pooled, expected.pooler_output, rtol=1e-4, atol=1e-4)

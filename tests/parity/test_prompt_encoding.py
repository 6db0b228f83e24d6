"""Whole prompts, encoded by our code and by transformers' text encoder under the rules said again here."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.text.encode import encode_prompt
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.diffusion.values import Clip, Placed, PromptStyle

transformers = pytest.importorskip("transformers")

CONFIG = ClipTextConfig(width=32, layers=3, heads=4, mlp_width=64)
A_PHOTO_OF_A_CAT = [320, 1125, 539, 320, 2368]
Segments = list[tuple[list[int], float]]


@pytest.fixture(scope="module")
def network() -> ClipText:
    torch.manual_seed(0)
    network = ClipText(CONFIG).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.2)
    return network


@pytest.fixture(scope="module")
def reference(network: ClipText) -> torch.nn.Module:
    model: torch.nn.Module = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=CONFIG.vocabulary,
            hidden_size=CONFIG.width,
            intermediate_size=CONFIG.mlp_width,
            num_hidden_layers=CONFIG.layers,
            num_attention_heads=CONFIG.heads,
            bos_token_id=49406,
            eos_token_id=49407,
        )
    ).eval()
    prefixed = any(name.startswith("text_model.") for name in model.state_dict())
    state = network.state_dict()
    model.load_state_dict(state if prefixed else {k.removeprefix("text_model."): v for k, v in state.items()})
    return model


def encode_row(model: torch.nn.Module, tokens: list[int], skip: int, pad: int) -> tuple[Tensor, Tensor]:
    """Return the normed layer (T, D), and the pooled vector (D,), of one row encoded alone."""
    row = torch.tensor([[49406, *tokens, 49407] + [pad] * (75 - len(tokens))])
    with torch.no_grad():
        output = model(row, output_hidden_states=True)
        if skip == 1:
            return output.last_hidden_state[0], output.pooler_output[0]
        norm: torch.nn.Module = getattr(model, "text_model", model).get_submodule("final_layer_norm")
        return norm(output.hidden_states[-skip][0]), output.pooler_output[0]


def expected(
    model: torch.nn.Module, rows: list[Segments], skip: int, style: PromptStyle, pad: int
) -> tuple[Tensor, Tensor]:
    empty, _ = encode_row(model, [], skip, pad)
    encoded, pooled = [], []
    for row in rows:
        tokens = [token for ids, _ in row for token in ids]
        weights = [weight for ids, weight in row for _ in ids]
        z, vector = encode_row(model, tokens, skip, pad)
        mean = z.mean()
        for position, weight in enumerate(weights, start=1):
            base = empty[position] if style == "comfy" else torch.zeros_like(z[position])
            z[position] = (z[position] - base) * weight + base
        encoded.append(z if style == "comfy" else z * (mean / z.mean()))
        pooled.append(vector)
    return torch.cat(encoded)[None], pooled[0][None]


A, PHOTO, OF, CAT = 320, 1125, 539, 2368
CASES: list[tuple[str, PromptStyle, list[Segments]]] = [
    ("", "comfy", [[]]),
    ("a photo of a cat", "comfy", [[(A_PHOTO_OF_A_CAT, 1)]]),
    ("a (photo) of ((a (cat:0.4)))", "comfy", [[([A], 1), ([PHOTO], 1.1), ([OF], 1), ([A], 1.21), ([CAT], 0.4)]]),
    ("(a photo of a cat:-0.5)", "comfy", [[(A_PHOTO_OF_A_CAT, -0.5)]]),
    ("a photo of a cat " * 16, "comfy", [[(A_PHOTO_OF_A_CAT * 15, 1)], [(A_PHOTO_OF_A_CAT, 1)]]),
    (
        "a photo of a cat " * 14 + "(photo of cat photo of cat:1.5)",
        "comfy",
        [[(A_PHOTO_OF_A_CAT * 14, 1)], [([PHOTO, OF, CAT] * 2, 1.5)]],
    ),
    ("a photo of (a cat:1.4)", "a1111", [[([A, PHOTO, OF], 1), ([A, CAT], 1.4)]]),
    ("a [photo] of ((a) cat:1.5)", "a1111", [[([A], 1), ([PHOTO], 1 / 1.1), ([OF], 1), ([A], 1.65), ([CAT], 1.5)]]),
    ("a photo BREAK of (a cat)", "a1111", [[([A, PHOTO], 1)], [([OF], 1), ([A, CAT], 1.1)]]),
]


@pytest.mark.parametrize("skip", [1, 2, 3])
@pytest.mark.parametrize(
    ("text", "style", "rows"), CASES, ids=[f"{case[1]}-{case[0][:20]}-{len(case[0])}" for case in CASES]
)
def test_prompts_agree_with_transformers(
    network: ClipText, reference: torch.nn.Module, text: str, style: PromptStyle, rows: list[Segments], skip: int
) -> None:
    clip = Clip(Placed(network), clip_tokenizer(), stop_layer=-skip, prompt_style=style)
    for pad in (49407, 0):
        (entry,) = encode_prompt(clip, text, pad=pad).entries
        embedding, pooled = expected(reference, rows, skip, style, pad)
        torch.testing.assert_close(entry.embedding, embedding, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(entry.pooled, pooled, rtol=1e-4, atol=1e-4)


def test_a_layer_too_early_is_the_last(network: ClipText) -> None:
    clip = Clip(Placed(network), clip_tokenizer())
    (last,) = encode_prompt(clip, "a cat").entries
    for layer, same in ((-3, False), (-4, True), (-24, True)):
        (entry,) = encode_prompt(replace(clip, stop_layer=layer), "a cat").entries
        assert torch.equal(entry.embedding, last.embedding) is same


def test_a_learned_word_is_a_longer_table_of_transformers(network: ClipText, reference: torch.nn.Module) -> None:
    torch.manual_seed(1)
    vectors = torch.randn(2, CONFIG.width)
    clip = Clip(Placed(network), clip_tokenizer(), stop_layer=-2)
    text = "a photo (embedding:thing:1.3) of a cat"
    (entry,) = encode_prompt(clip, text, embeddings={"thing": {CONFIG.width: vectors}}).entries
    embeddings = reference.get_input_embeddings()  # type: ignore[operator]
    longer = torch.nn.Embedding(CONFIG.vocabulary + 2, CONFIG.width)
    with torch.no_grad():
        longer.weight.copy_(torch.cat([embeddings.weight, vectors]))
    reference.set_input_embeddings(longer)  # type: ignore[operator]
    try:
        thing = [CONFIG.vocabulary, CONFIG.vocabulary + 1]
        embedding, pooled = expected(reference, [[([A, PHOTO], 1), (thing, 1.3), ([OF, A, CAT], 1)]], 2, "comfy", 49407)
    finally:
        reference.set_input_embeddings(embeddings)  # type: ignore[operator]
    torch.testing.assert_close(entry.embedding, embedding, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(entry.pooled, pooled, rtol=1e-4, atol=1e-4)

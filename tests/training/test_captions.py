"""Captions say everything, in many wordings, and token for token as SD 1.x pads."""

import numpy as np
import pytest

from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.training.captions import draw_caption, plain_caption
from nodegraph.training.latents import draw_scenes
from nodegraph.training.reading import cells_of, tokenize
from nodegraph.training.scenes import COLOURS, SHAPES, Item, Scene

PAIR = Scene((Item("circle", "red", "small"), Item("square", "blue", "large")), "above", "yellow")
LONE = Scene((Item("star", "orange", "medium"),), "top left", "orange")


def test_the_plain_caption_is_plain_english() -> None:
    assert plain_caption(PAIR) == "a small red circle above a large blue square on a yellow background"
    assert plain_caption(LONE) == "an orange star in the top left corner on an orange background"


def test_every_caption_tells_all_colours_and_shapes() -> None:
    rng = np.random.default_rng(0)
    for scene in draw_scenes(300, 0):
        caption = draw_caption(scene, rng)
        words = caption.replace(",", "").split()
        for item in scene.items:
            assert {item.colour, item.shape} <= set(words), caption
        assert scene.background in words, caption


def test_a_relation_is_told_from_both_sides() -> None:
    rng = np.random.default_rng(0)
    told = {draw_caption(PAIR, rng) for _ in range(300)}
    assert len(told) > 100
    above = [text for text in told if text.index("circle") < text.index("square")]
    below = [text for text in told if text.index("circle") > text.index("square")]
    assert all(any(word in text for word in ("above", "over", "on top of")) for text in above)
    assert all(any(word in text for word in ("below", "under", "beneath")) for text in below)
    assert above
    assert below


def test_same_generator_state_gives_the_same_wording() -> None:
    assert draw_caption(PAIR, np.random.default_rng(5)) == draw_caption(PAIR, np.random.default_rng(5))


def test_tokens_are_padded_with_the_end_token() -> None:
    tokens = tokenize(["a red circle", ""], clip_tokenizer())
    assert tokens.shape == (2, 77)
    assert tokens[0, :6].tolist() == [49406, 320, 736, 7117, 49407, 49407]
    assert tokens[1].tolist() == [49406, *[49407] * 76]


def test_a_caption_longer_than_the_encoder_is_cut() -> None:
    assert tokenize(["red " * 100], clip_tokenizer())[0, -2:].tolist() == [736, 49407]


def test_cells_tell_the_upper_object_above_the_lower_one() -> None:
    cells = cells_of(PAIR).reshape(8, 8, 3)
    assert cells[0, 0].tolist() == [COLOURS.index("yellow"), 0, 0]
    assert cells[1, 3].tolist() == [COLOURS.index("red"), SHAPES.index("circle") + 1, 1]
    assert cells[6, 4].tolist() == [COLOURS.index("blue"), SHAPES.index("square") + 1, 3]


@pytest.mark.parametrize("scene", [PAIR, LONE])
def test_captions_never_say_a_before_a_vowel(scene: Scene) -> None:
    rng = np.random.default_rng(1)
    assert not any("a orange" in draw_caption(scene, rng) for _ in range(100))

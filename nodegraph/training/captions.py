"""Says scenes in words, in many ways: articles, synonyms, order, and a relation told from either side."""

import numpy as np

from nodegraph.training.scenes import Item, Scene

PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "centre": ("in the middle", "in the centre", "in the center", ""),
    "left": ("on the left", "on the left side", "at the left"),
    "right": ("on the right", "on the right side", "at the right"),
    "top": ("at the top", "on top"),
    "bottom": ("at the bottom", "down at the bottom"),
    "top left": ("in the top left corner", "at the top left", "in the upper left corner"),
    "top right": ("in the top right corner", "at the top right", "in the upper right corner"),
    "bottom left": ("in the bottom left corner", "at the bottom left", "in the lower left corner"),
    "bottom right": ("in the bottom right corner", "at the bottom right", "in the lower right corner"),
}
RELATION_WORDS: dict[str, tuple[str, ...]] = {
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
    "left of": ("left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "on the right of"),
}
OPPOSITE = {"above": "below", "left of": "right of"}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "small", "little", "tiny"),
    "medium": ("", "", "medium"),
    "large": ("large", "large", "big", "huge"),
}
BACKGROUNDS = (
    "{it} on a {colour} background",
    "{it} on a {colour} background",
    "{it}, {colour} background",
    "{it} on {colour}",
    "on a {colour} background, {it}",
    "a {colour} background with {it}",
)
OPENINGS = ("", "", "", "", "a picture of ", "a drawing of ", "an image of ")


def plain_caption(scene: Scene) -> str:
    """Say the scene in the plainest way, as the examples of the documentation do."""
    items = [f"{_article(words)} {words}" for words in map(_plain_words, scene.items)]
    if len(items) == 2:
        told = f"{items[0]} {_plain_relation(scene.arrangement)} {items[1]}"
    else:
        told = f"{items[0]} {PLACE_WORDS[scene.arrangement][0]}"
    return f"{told} on {_article(scene.background)} {scene.background} background"


def draw_caption(scene: Scene, rng: np.random.Generator) -> str:
    """Say the scene in a random way."""
    items = [_item_words(item, rng) for item in scene.items]
    if len(items) == 2:
        relation = scene.arrangement
        if rng.random() < 0.5:
            items, relation = items[::-1], OPPOSITE[relation]
        told = f"{items[0]} {_pick(rng, RELATION_WORDS[relation])} {items[1]}"
    else:
        told = f"{items[0]} {_pick(rng, PLACE_WORDS[scene.arrangement])}".strip()
    pattern = _pick(rng, BACKGROUNDS)
    if not pattern.startswith(("on ", "a ")):
        told = _pick(rng, OPENINGS) + told
    return _with_articles(pattern.format(it=told, colour=scene.background))


def _plain_words(item: Item) -> str:
    size = "" if item.size == "medium" else f"{item.size} "
    return f"{size}{item.colour} {item.shape}"


def _plain_relation(relation: str) -> str:
    return "to the left of" if relation == "left of" else relation


def _item_words(item: Item, rng: np.random.Generator) -> str:
    article = "the" if rng.random() < 0.1 else "a"
    words = (article, _pick(rng, SIZE_WORDS[item.size]), item.colour, item.shape)
    return " ".join(word for word in words if word)


def _with_articles(text: str) -> str:
    return text.replace("a orange", "an orange")


def _article(words: str) -> str:
    return "an" if words.startswith("o") else "a"


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]

"""What `ChooseImage` turns into when it is answered. No nodes of their own."""

from nodegraph import node
from nodegraph.diffusion.values import Image


@node("ChooseImage.pick")
def pick(images: Image, indexes: list[int]) -> Image:
    """Give the pictures of a batch that were chosen, in the order in which they were."""
    origins = tuple(images.origins[index] for index in indexes) if images.origins else ()
    return Image(images.pixels[indexes], origins)

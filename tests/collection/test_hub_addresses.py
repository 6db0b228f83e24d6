"""How files of the hub are named, and which hub is asked as whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.collection.hub import Address, Hub, HubError, parse_address
from nodegraph.collection.pull import name_of


@pytest.mark.parametrize(
    "text",
    ["", "hf:", "hf:a/b", "a/b/c", "hf:a/b/../c", "hf:a//b/c", "hf:a/b/c@", "hf:../b/c", "hf:a/b/./c", "http://x/y/z"],
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(HubError, match="expected hf:OWNER/REPO/FILE"):
        parse_address(text)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("lora.safetensors", "lora.safetensors"),
        ("sub/lora.safetensors", "lora.safetensors"),
        ("diffusion_pytorch_model.safetensors", "styles.safetensors"),
        ("unet/diffusion_pytorch_model.fp16.safetensors", "styles-unet.fp16.safetensors"),
        ("pytorch_lora_weights.safetensors", "styles.safetensors"),
    ],
)
def test_files_that_are_called_the_same_everywhere_are_called_after_their_repository(path: str, name: str) -> None:
    assert name_of(Address("ann", "styles", path)) == name


def test_the_variables_of_the_hubs_own_tools_are_heeded(tmp_path: Path) -> None:
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        Hub.of_environment({"HF_HUB_OFFLINE": "1"})
    with pytest.raises(HubError, match="HF_ENDPOINT: got 'nowhere'"):
        Hub.of_environment({"HF_ENDPOINT": "nowhere"})
    (tmp_path / "token").write_text("from-file\n")
    assert Hub.of_environment({"HF_HOME": str(tmp_path)}) == Hub("https://huggingface.co", "from-file")
    given = {"HF_HOME": str(tmp_path), "HF_TOKEN": "given", "HF_ENDPOINT": "https://mirror.example.org/"}
    assert Hub.of_environment(given) == Hub("https://mirror.example.org", "given")

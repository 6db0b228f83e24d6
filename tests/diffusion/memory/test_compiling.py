"""Compiled blocks: a network gives what it gives without, with patches and hooks too, and compiles a shape once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from nodegraph.diffusion.interruption import interruptible
from nodegraph.diffusion.memory import compiling, packing
from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.memory.patches import Delta, Patch
from nodegraph.diffusion.models.unet import Geglu, Mix, TransformerBlock
from tests.diffusion.memory.conftest import Draw, Full, low_rank

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for processors by a C++ compiler"),
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # of what torch's compiler imports
]
BLOCK = "middle_block.1.transformer_blocks.0"


@pytest.fixture(autouse=True)
def fresh(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compile into a folder of the tests, with weights of tiny networks packed as large ones are."""
    folder = tmp_path_factory.getbasetemp() / "compiled"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
    monkeypatch.setattr(packing, "LEAST", 1)
    counters.clear()
    yield
    assert not compiling._trouble


def graphs() -> int:
    """Return how many graphs were compiled, or taken from disk."""
    return int(counters["stats"]["unique_graphs"])


def blocks(network: nn.Module) -> list[TransformerBlock]:
    return [module for module in network.modules() if isinstance(module, TransformerBlock)]


def test_a_compiled_network_gives_what_the_plain_one_gives(stored: Blueprint, draw: Draw) -> None:
    with Memory().lend(stored) as network:
        wanted = draw(network)
    with Memory(compiled=True).lend(stored) as network:
        assert all(map(compiling.runs_as_one, blocks(network)))
        torch.testing.assert_close(draw(network), wanted, rtol=1e-4, atol=1e-5)
        made = graphs()
        assert 0 < made < len(blocks(network)), "blocks of one shape share their code"
        torch.testing.assert_close(draw(network), wanted, rtol=1e-4, atol=1e-5)
        assert graphs() == made


def whole(shape: tuple[int, ...], seed: int) -> Full:
    return Full(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize(
    ("name", "change"), [("ff.net.2.weight", low_rank), ("ff.net.2.weight", whole), ("norm3.bias", whole)]
)
def test_patches_act_on_compiled_blocks_and_are_taken_off(
    stored: Blueprint, draw: Draw, name: str, change: Callable[[tuple[int, ...], int], Delta]
) -> None:
    patch = Patch("one", {f"{BLOCK}.{name}": change(stored.shapes[f"{BLOCK}.{name}"], 3)}, 20.0)
    with Memory().lend(stored) as network:
        plain = draw(network)
    with Memory().lend(stored, [patch]) as network:
        patched = draw(network)
    assert not torch.allclose(plain, patched, rtol=1e-3, atol=1e-4)
    memory = Memory(compiled=True)
    for patches, wanted in (([], plain), ([patch], patched), ([], plain)):
        with memory.lend(stored, patches) as network:
            torch.testing.assert_close(draw(network), wanted, rtol=1e-4, atol=1e-5)


def test_what_is_hooked_to_a_part_is_called(stored: Blueprint, draw: Draw) -> None:
    seen: list[nn.Module] = []
    with Memory(compiled=True).lend(stored) as network:
        draw(network)
        hooks = [m.register_forward_hook(lambda m, *_: seen.append(m)) for m in network.modules() if type(m) is Mix]
        draw(network)
        assert len(seen) == len(hooks) > 0
        for hook in hooks:
            hook.remove()
        draw(network)
        assert len(seen) == len(hooks)


def test_a_compiled_block_is_looked_at_from_outside(stored: Blueprint, draw: Draw) -> None:
    looks: list[int] = []
    with Memory(compiled=True).lend(stored) as network:
        draw(network)
        made = graphs()
        with interruptible(network, lambda: looks.append(1)):
            inside = [part for block in blocks(network) for part in block.modules() if type(part) is Geglu]
            assert not any(part._forward_pre_hooks for part in inside)
            draw(network)
        assert len(looks) > len(blocks(network))
        assert graphs() == made, "nothing is compiled anew for it"


def test_a_streamed_network_runs_as_it_is(stored: Blueprint, draw: Draw) -> None:
    with Memory().lend(stored) as network:
        wanted = draw(network)
    with Memory({"cpu": stored.size * 3 // 4}, compiled=True).lend(stored) as network:
        torch.testing.assert_close(draw(network), wanted, rtol=1e-4, atol=1e-5)


def test_another_size_is_compiled_too(stored: Blueprint) -> None:
    def call(network: nn.Module, side: int) -> Tensor:
        x = torch.linspace(-1, 1, 4 * side * side).reshape(1, 4, side, side)
        with torch.inference_mode():
            result: Tensor = network(x, torch.tensor([500.0]), context=torch.ones(1, 5, 24))
        return result

    with Memory().lend(stored) as plain, Memory(compiled=True).lend(stored) as network:
        for side in (6, 12):
            torch.testing.assert_close(call(network, side), call(plain, side), rtol=1e-4, atol=1e-5)


def test_the_users_own_folder_for_compiled_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "mine")
    compiling.keep_compiled(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "mine"
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    compiling.keep_compiled(tmp_path)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path)

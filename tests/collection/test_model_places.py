"""Model folders of all layouts are found, in the order that the documentation tells."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nodegraph.collection.config import ConfigError, own_config, read_config
from nodegraph.collection.extra_paths import PathsFileError, read_extra_paths
from nodegraph.collection.kinds import KINDS
from nodegraph.collection.places import below, by_kind, model_folders
from nodegraph.collection.setup import collect
from nodegraph.engine.folders import Folders
from nodegraph.runtime import Options, Runtime
from tests.collection.conftest import BUNDLED

links = pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")


def made(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


def paths(root: Path, kind: str) -> list[str]:
    """Return the folders of a kind below a root, as they are named in it."""
    return [path.relative_to(root).as_posix() for path in by_kind(below(root, ""))[kind]]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a user and a working folder of its own."""
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    made(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")


def test_an_empty_root_has_the_kinds_own_folders(tmp_path: Path) -> None:
    assert {kind: paths(tmp_path, kind) for kind in KINDS} == {kind: [kind] for kind in KINDS}


def test_comfyuis_older_names_are_searched_too(tmp_path: Path) -> None:
    made(tmp_path / "unet", tmp_path / "clip", tmp_path / "text_encoders", tmp_path / "t2i_adapter")
    assert paths(tmp_path, "diffusion_models") == ["unet", "diffusion_models"]
    assert paths(tmp_path, "text_encoders") == ["text_encoders", "clip"]
    assert paths(tmp_path, "controlnet") == ["t2i_adapter", "controlnet"]


@pytest.mark.parametrize("given", ["", "models"])
def test_an_installation_of_a1111_is_used_as_it_is(tmp_path: Path, given: str) -> None:
    webui = tmp_path / "webui"
    folders = ("Stable-diffusion", "Lora", "LyCORIS", "VAE", "ESRGAN", "RealESRGAN", "ControlNet", "VAE-approx")
    made(*(webui / "models" / name for name in folders), webui / "embeddings", webui / "configs")
    found = by_kind(below(webui / given, ""))
    names = {kind: [path.relative_to(webui).as_posix() for path in found[kind] if path.is_dir()] for kind in KINDS}
    assert names["checkpoints"] == ["models/Stable-diffusion"]
    assert names["loras"] == ["models/Lora", "models/LyCORIS"]
    assert names["vae"] == ["models/VAE"]
    assert names["vae_approx"] == ["models/VAE-approx"]
    assert names["upscale_models"] == ["models/ESRGAN", "models/RealESRGAN"]
    assert names["controlnet"] == ["models/ControlNet"]
    assert names["embeddings"] == ["embeddings"]


def test_an_installation_of_comfyui_is_used_as_it_is(tmp_path: Path) -> None:
    made(tmp_path / "models" / "checkpoints", tmp_path / "custom_nodes", tmp_path / "input")
    assert paths(tmp_path, "checkpoints") == ["models/checkpoints"]


@links
def test_a_folder_that_is_reached_in_two_ways_is_searched_once(tmp_path: Path) -> None:
    made(tmp_path / "models" / "checkpoints", tmp_path / "other")
    (tmp_path / "other" / "checkpoints").symlink_to(tmp_path / "models" / "checkpoints")
    found = model_folders((tmp_path / "models", tmp_path / "other"))["checkpoints"]
    assert tmp_path / "models" / "checkpoints" in found
    assert tmp_path / "other" / "checkpoints" not in found


@links
def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    made(tmp_path / "models" / "loras", tmp_path / "disk" / "styles")
    (tmp_path / "disk" / "styles" / "a.safetensors").touch()
    (tmp_path / "models" / "loras" / "more").symlink_to(tmp_path / "disk" / "styles")
    (tmp_path / "models" / "loras" / "b.safetensors").symlink_to(tmp_path / "disk" / "styles" / "a.safetensors")
    folders = Runtime(Options(models=(tmp_path / "models",))).folders
    assert folders.names("loras") == ("b.safetensors", "more/a.safetensors", *BUNDLED)
    assert folders.path("loras", "more\\a.safetensors").is_file()


def test_the_order_is_the_command_line_the_variable_the_configuration_and_what_is_standard(tmp_path: Path) -> None:
    roots = {name: tmp_path / name for name in ("given", "variable", "configured", "by_kind", "extra", "own_extra")}
    made(*roots.values(), tmp_path / "here" / "models")
    extra = write(tmp_path / "extra.yaml", f"a:\n  base_path: {roots['extra']}\n  loras: loras\n")
    own_extra = write(tmp_path / "own.yaml", f"a:\n  base_path: {roots['own_extra']}\n  loras: loras\n")
    config = write(
        tmp_path / "nodegraph.toml",
        f"models = '{roots['configured']}'\nextra_model_paths = '{own_extra}'\ndownload = 'new'\n"
        f"[folders]\nloras = '{roots['by_kind']}'\n",
    )
    found = collect((roots["given"],), (extra,), config, {"NODEGRAPH_MODELS": str(roots["variable"])})
    wanted = ["given/loras", "extra/loras", "variable/loras", "configured/loras", "by_kind", "own_extra/loras"]
    loras = [path.relative_to(tmp_path).as_posix() for path in found.folders["loras"][:8]]
    assert loras == [*wanted, "new/loras", "here/models/loras"]
    assert found.folders["loras"][8].is_relative_to(tmp_path / "home")
    origins = [place.origin for place in found.places if place.kind == "loras"]
    assert origins == [
        *("--models", str(extra), "NODEGRAPH_MODELS", str(config), str(config), str(own_extra), str(config)),
        *("working folder", "user's data folder", "shipped"),
    ]


def test_the_first_file_of_a_name_counts(tmp_path: Path) -> None:
    for root in ("one", "two"):
        write(tmp_path / root / "loras" / "same.safetensors", root)
    variable = os.pathsep.join([str(tmp_path / "one"), "", str(tmp_path / "two")])
    folders = Folders(collect(environment={"NODEGRAPH_MODELS": variable}).folders)
    assert folders.path("loras", "same.safetensors").read_text() == "one"


def test_programs_look_where_commands_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "models" / "loras" / "a.safetensors", "")
    write(tmp_path / "more" / "loras" / "b.safetensors", "")
    write(own_config(), f"models = ['{tmp_path / 'models'}']\ninput = 'pictures'")
    monkeypatch.setenv("NODEGRAPH_MODELS", str(tmp_path / "more"))
    options = Options.configured(dtype="fp32")
    assert Runtime(options).folders.names("loras") == ("a.safetensors", "b.safetensors", *BUNDLED)
    assert options.input == (own_config().parent / "pictures",)
    assert Runtime(Options()).folders.names("loras") == BUNDLED
    assert Options.configured() == Options.configured()


def test_new_files_go_where_the_user_keeps_such(tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    assert collect(environment={}).destination("loras").is_relative_to(home)
    made(here / "models")
    assert collect(environment={}).destination("loras") == here / "models" / "loras"
    webui = tmp_path / "webui" / "models"
    made(webui / "Lora", webui / "Stable-diffusion")
    variable = {"NODEGRAPH_MODELS": str(tmp_path / "webui")}
    assert collect(environment=variable).destination("loras") == webui / "Lora"
    config = write(tmp_path / "c.toml", "download = 'new'")
    assert collect((), (), config, variable).destination("loras") == tmp_path / "new" / "loras"
    made(tmp_path / "given")
    assert collect((tmp_path / "given",), (), config, variable).destination("vae") == tmp_path / "given" / "vae"


def test_extra_model_paths_are_read_as_comfyui_does(tmp_path: Path) -> None:
    made(tmp_path / "shared" / "lora2")
    path = write(
        tmp_path / "extra_model_paths.yaml",
        """# where else to look
other:
    checkpoints: more/checkpoints   # relative to this file
    loras: /absolute/loras
    clip: $MODELS_OF_TEST/clip
    ultralytics_bbox: boxes
    custom_nodes: nodes
    vae:
comfyui:
    base_path: shared
    is_default: true
    checkpoints: models/checkpoints
    loras: |
        models/loras

        lora2
    unet: ~/unet
empty:
""",
    )
    os.environ["MODELS_OF_TEST"] = "/srv"
    try:
        found = [(place.kind, place.path, place.default) for place in read_extra_paths(path)]
    finally:
        del os.environ["MODELS_OF_TEST"]
    assert found == [
        ("checkpoints", tmp_path / "shared" / "models" / "checkpoints", True),
        ("loras", tmp_path / "shared" / "models" / "loras", True),
        ("loras", tmp_path / "shared" / "lora2", True),
        ("diffusion_models", tmp_path / "home" / "unet", True),
        ("checkpoints", tmp_path / "more" / "checkpoints", False),
        ("loras", Path("/absolute/loras"), False),
        ("text_encoders", Path("/srv/clip"), False),
        ("ultralytics_bbox", tmp_path / "boxes", False),
    ]


@links
def test_paths_that_windows_wrote_are_understood(tmp_path: Path) -> None:
    path = write(tmp_path / "e.yaml", "a:\n  base_path: shared\\models\n  loras: sub\\loras\n")
    assert [place.path for place in read_extra_paths(path)] == [tmp_path / "shared" / "models" / "sub" / "loras"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a:\n  loras: [x\n", r"line 3, column 1: not valid YAML"),
        ("- a\n- b\n", "got a list, expected sections"),
        ("a: text\n", "section 'a': got a text, expected kinds and their folders"),
        ("a:\n  loras: 3\n", "a.loras: got a number, expected folders, a line each"),
        ("a:\n  loras: {x: y}\n", "a.loras: got a table"),
        ("a:\n  base_path: 3\n  loras: x\n", "a.base_path: got 3, expected a folder"),
        ("a:\n  is_default: perhaps\n", "a.is_default: got 'perhaps', expected true or false"),
        ("a: !!python/object/apply:os.system ['touch canary']\n", "not valid YAML: could not determine a constructor"),
    ],
)
def test_extra_model_paths_that_make_no_sense_are_told_with_the_place(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "e.yaml", text)
    with pytest.raises(PathsFileError, match=words) as caught:
        read_extra_paths(path)
    assert str(caught.value).startswith(str(path))
    assert not Path("canary").exists()


def test_extra_model_paths_that_are_not_there_or_huge_are_told(tmp_path: Path) -> None:
    with pytest.raises(PathsFileError, match="cannot be read: No such file"):
        read_extra_paths(tmp_path / "none.yaml")
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(10_000_000)
    with pytest.raises(PathsFileError, match="larger than"):
        read_extra_paths(huge)
    assert read_extra_paths(write(tmp_path / "empty.yaml", "# nothing\n")) == ()


def test_a_configuration_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "nodegraph.toml",
        'models = ["a", "~/b"]\ninput = "pictures"\nextra_model_paths = []\ndownload = "a"\n'
        '[folders]\nunet = "u"\ndiffusion_models = ["d"]\n',
    )
    found = read_config(path)
    assert found.models == (tmp_path / "a", tmp_path / "home" / "b")
    assert found.input == (tmp_path / "pictures",)
    assert found.download == tmp_path / "a"
    assert found.folders == {"diffusion_models": (tmp_path / "u", tmp_path / "d")}
    assert read_config(write(tmp_path / "empty.toml", "")).models == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "# mine\n\nmodles = 'a'",
            r"line 3: unknown key 'modles' \(did you mean 'models'\?\); there are models, input",
        ),
        ("models = 3", "line 1: models: got 3, expected a path, or a list of paths"),
        ("models = ['a', 4]", r"line 1: models: got \['a', 4\]"),
        ("models = ['']", r"line 1: models: got \[''\]"),
        ("download = ['a']", r"line 1: download: got \['a'\], expected a path$"),
        ("folders = 'x'", "line 1: folders: got 'x', expected a table of kinds"),
        ("models = 'a'\n[folders]\nlora = 'x'", r"line 3: folders: unknown kind 'lora' \(did you mean 'loras'\?\)"),
        ("[folders]\nloras = {}", r"line 2: folders.loras: got \{\}"),
        ("[folder]\nloras = 'x'", r"line 1: unknown key 'folder' \(did you mean 'folders'\?\)"),
        ("models = [", "not valid TOML"),
    ],
)
def test_a_configuration_that_is_not_understood_is_told_with_the_line(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path / "nodegraph.toml", text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))


def test_the_users_own_configuration_is_read_and_another_stands_in_for_it(tmp_path: Path) -> None:
    write(own_config(), "models = 'own'")
    other = write(tmp_path / "other.toml", "models = 'other'")
    assert collect(environment={}).config == own_config()
    assert collect(environment={}).roots == (own_config().parent / "own",)
    assert collect((), (), other, {}).roots == (tmp_path / "other",)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        collect((), (), tmp_path / "none.toml", {})

"""From an upload through a job to its output: names of files are as confined in a workflow as in a route."""

from __future__ import annotations

import io
from typing import Any, Protocol

import aiohttp
import pytest
from PIL import Image

JOBS, FILES = "/api/v1/jobs", "/api/v1/files"
Client = aiohttp.ClientSession


class Picture(Protocol):
    def __call__(self, format: str = "PNG", size: tuple[int, int] = (40, 30), color: str = "red") -> bytes: ...


def workflow(image: str, prefix: str = "job") -> dict[str, Any]:
    """Return a workflow that loads a picture and saves it."""
    return {
        "format": 1,
        "nodes": {
            "load": {"type": "LoadImage", "params": {"image": image}},
            "save": {"type": "SaveImage", "params": {"filename_prefix": prefix}, "links": {"images": "load.image"}},
        },
    }


async def submit(client: Client, document: dict[str, Any]) -> tuple[int, Any]:
    async with client.post(JOBS, params={"wait": 60}, json={"workflow": document}) as response:
        return response.status, await response.json()


async def upload(client: Client, name: str, data: bytes) -> None:
    async with client.post(FILES, params={"name": name}, data=data) as response:
        assert response.status == 201


@pytest.mark.slow
async def test_an_uploaded_picture_goes_through_a_job_and_comes_back(client: Client, picture: Picture) -> None:
    await upload(client, "in/x.png", picture(color="blue"))
    status, job = await submit(client, workflow("in/x.png", "out/y"))
    assert (status, job["state"]) == (200, "done"), job
    (output,) = job["outputs"]
    assert output["name"] == "out/y_00001_.png"
    async with client.get(output["url"]) as response:
        assert response.content_type == "image/png"
        kept = Image.open(io.BytesIO(await response.read()))
    assert (kept.size, kept.convert("RGB").getpixel((3, 3))) == ((40, 30), (0, 0, 255))
    async with client.get(output["thumbnail"]) as response:
        assert response.content_type == "image/webp"


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png", "..\\secret.png", "../../secret.png [output]", "/etc/passwd", "out/secret.png", "out.png",
        "C:\\x.png", "a\0.png", "x" * 5000, "hers.png", ".part-0.png/../../secret.png",
    ],
)  # fmt: skip
async def test_a_node_reaches_nothing_outside(
    client: Client, ada: Client, shared: Any, picture: Picture, name: str
) -> None:
    (shared.data / "secret.png").write_bytes(picture())
    folder = shared.data / "input"
    folder.mkdir(exist_ok=True)
    for link, target in (("out", shared.data), ("out.png", shared.data / "secret.png")):
        if not (folder / link).is_symlink():
            (folder / link).symlink_to(target)
    async with ada.post(FILES, params={"name": "hers.png"}, data=picture()) as response:
        assert response.status in (200, 201)
    status, answer = await submit(client, workflow(name))
    assert status == 422, answer
    (problem,) = answer["error"]["problems"]
    assert (problem["node"], problem["field"]) == ("load", "params.image")
    assert str(shared.data) not in str(answer)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["../../x", "/tmp/x", "a/%date%/../..", "x" * 5000, "..\\x", "a/../../x"])
async def test_a_prefix_that_leads_out_fails_by_name(
    client: Client, shared: Any, picture: Picture, prefix: str
) -> None:
    async with client.post(FILES, params={"name": "prefix.png"}, data=picture()) as response:
        assert response.status in (200, 201)
    before = {path for path in shared.data.rglob("*.png") if not path.is_relative_to(shared.data / "thumbnails")}
    status, answer = await submit(client, workflow("prefix.png", prefix))
    assert (status == 422) or (status, answer["state"], answer["failure"]["node"]) == (200, "failed", "save"), answer
    assert str(shared.data) not in str(answer)
    after = {path for path in shared.data.rglob("*.png") if not path.is_relative_to(shared.data / "thumbnails")}
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prefix", "name"),
    [
        ("CON", "CON_00001_.png"),
        ("a\0b", "a_b_00001_.png"),
        ("line\nbreak", "line_break_00001_.png"),
        ('q"uote', "q_uote_00001_.png"),
        ("größe 猫", "größe 猫_00001_.png"),
        ("two\\levels", "two/levels_00001_.png"),
    ],
)
async def test_an_odd_prefix_gives_a_file_that_can_be_had(
    client: Client, shared: Any, picture: Picture, prefix: str, name: str
) -> None:
    async with client.post(FILES, params={"name": "odd.png"}, data=picture()) as response:
        assert response.status in (200, 201)
    status, job = await submit(client, workflow("odd.png", prefix))
    assert (status, job["state"]) == (200, "done"), job
    (output,) = job["outputs"]
    assert output["name"] == name
    assert (shared.data / "output" / name).is_file()
    async with client.get(output["url"]) as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"].isprintable()


@pytest.mark.slow
async def test_a_hidden_file_is_no_output(client: Client, shared: Any, picture: Picture) -> None:
    async with client.post(FILES, params={"name": "hide.png"}, data=picture()) as response:
        assert response.status in (200, 201)
    _, job = await submit(client, workflow("hide.png", ".hidden"))
    assert (job["state"], job["failure"]["code"], job["outputs"]) == ("failed", "invalid_output", [])
    assert not list(shared.data.rglob("*hidden*"))

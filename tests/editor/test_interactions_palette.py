"""Adding and wiring in the browser: interactions 4, 5 and 13 of the editor."""

from __future__ import annotations

import copy
import json
from itertools import pairwise

from tests.editor.driver import Editor
from tests.editor.shell import FREE, PICTURE, TEXTS, added, chooser, rows, workflow


def test_04_search_palette_adds_at_the_pointer_with_its_ports_shown(editor: Editor) -> None:
    editor.open(PICTURE)
    before = editor.nodes()
    editor.page.mouse.move(*FREE)
    editor.press("Shift+A")
    palette = chooser(editor, "palette")
    assert editor.page.evaluate("() => document.activeElement.matches('.chooser-input')")
    editor.page.keyboard.type("ksmp")
    assert rows(palette)[0] == "KSampler"
    assert "Conditioning" in palette.locator(".chooser-aside").inner_text()
    editor.press("Enter")
    id = added(editor, before)
    assert editor.nodes()[id]["type"] == "KSampler"
    assert editor.state()["selection"] == [f"node:{id}"]
    box = editor.node(id).bounding_box()
    assert box is not None
    assert box["x"] <= FREE[0] <= box["x"] + box["width"]
    assert box["y"] <= FREE[1] <= box["y"] + 40
    editor.press("Mod+Z")
    assert editor.nodes() == before


def test_04_search_palette_finds_by_category_and_lists_recent_first(editor: Editor) -> None:
    editor.open(PICTURE)
    editor.click(FREE, count=2)
    palette = chooser(editor, "palette")
    editor.page.keyboard.type("upscaling")
    assert palette.locator(".chooser-hint").all_inner_texts()[:2] == ["image/upscaling"] * 2
    before = editor.nodes()
    editor.press("ArrowDown", "Enter")
    chosen = editor.nodes()[added(editor, before)]["type"]
    editor.press("/")
    palette = chooser(editor, "palette")
    assert palette.locator(".chooser-group").first.inner_text() == "Recent"
    assert palette.locator("[role=option]").first.get_attribute("data-type") == chosen
    editor.press("Escape")
    assert editor.page.locator("[data-chooser]").count() == 0


def test_04_search_palette_adds_subgraphs_of_the_file(editor: Editor) -> None:
    document = copy.deepcopy(TEXTS)
    inner = {"nodes": {"deep": {"type": "faults.Text", "params": {"text": "x"}}}, "outputs": {"said": "deep.out"}}
    document["subgraphs"] = {"speech": inner}
    editor.open(document)
    editor.press("Shift+A")
    palette = chooser(editor, "palette")
    editor.page.keyboard.type("speech")
    assert "said" in palette.locator(".chooser-aside").inner_text()
    editor.press("Enter")
    assert editor.nodes()[added(editor, document["nodes"])] == {"graph": "speech"}


MANY = """async (count) => {
    const answer = await (await fetch('/api/v1/nodes')).json();
    const known = Object.entries(answer.nodes);
    for (let at = 0; Object.keys(answer.nodes).length < count; at += 1) {
        const [id, schema] = known[at % known.length];
        const made = structuredClone(schema);
        made.title += ` ${at}`;
        made.properties.type.enum = [`many.${id}${at}`];
        answer.nodes[`many.${id}${at}`] = made;
    }
    return JSON.stringify(answer);
}"""


def test_04_search_palette_finds_one_of_1000_types_among_1000_nodes(editor: Editor) -> None:
    editor.start()
    types = editor.page.evaluate(MANY, 1000)
    editor.page.route("**/api/v1/nodes", lambda route: route.fulfill(body=types, content_type="application/json"))
    nodes = {f"n{at}": {"type": "faults.Text", "params": {"text": str(at)}} for at in range(1000)}
    view = {id: {"x": 260 * (at % 40), "y": 200 * (at // 40)} for at, id in enumerate(nodes)}
    editor.open({"format": 1, "nodes": nodes, "view": view})
    assert len(editor.state()["types"]) == 1000
    wanted, schema = json.loads(types)["nodes"].popitem()
    editor.press("Shift+A")
    palette = chooser(editor, "palette")
    editor.page.keyboard.type(schema["title"])
    editor.wait_until(
        lambda: palette.locator("[role=option]").first.get_attribute("data-type") == wanted, "it is first"
    )
    editor.press("Enter")
    assert editor.nodes()[added(editor, nodes)]["type"] == wanted


def test_05_a_link_dropped_on_the_canvas_lists_what_fits_and_is_wired(editor: Editor) -> None:
    editor.open(PICTURE)
    before = editor.nodes()
    editor.drag(editor.port("flip", "out:out"), FREE)
    palette = chooser(editor, "palette")
    listed = [row.get_attribute("data-type") for row in palette.locator("[role=option]").all()]
    assert "SaveImage" in listed
    assert "VAEEncode" in listed
    assert listed.index("SaveImage") < listed.index("Gate")  # which takes a value of any type
    assert "KSampler" not in listed
    assert "CheckpointLoaderSimple" not in listed
    editor.page.keyboard.type("invert")
    editor.press("Enter")
    id = added(editor, before)
    assert editor.nodes()[id] == {"type": "ImageInvert", "links": {"image": "flip.out"}}
    editor.press("Mod+Z")
    assert editor.nodes() == before


def test_05_a_link_dropped_from_an_input_lists_what_gives_it(editor: Editor) -> None:
    editor.open(workflow(save={"type": "SaveImage", "params": {"filename_prefix": "x"}}))
    before = editor.nodes()
    editor.drag(editor.port("save", "in:images"), FREE)
    palette = chooser(editor, "palette")
    listed = [row.get_attribute("data-type") for row in palette.locator("[role=option]").all()]
    assert {"LoadImage", "VAEDecode"} <= set(listed)
    assert not {"CLIPTextEncode", "EmptyLatentImage"} & set(listed)
    editor.page.keyboard.type("vae decode")
    editor.press("Enter")
    assert editor.nodes()["save"]["links"] == {"images": f"{added(editor, before)}.out"}


def test_13_a_workflow_is_made_and_wired_without_a_pointer(editor: Editor) -> None:
    editor.open(workflow(load={"type": "LoadImage", "params": {"image": "example.png"}}))
    editor.press("Shift+A")
    chooser(editor, "palette")
    editor.page.keyboard.type("imageinvert")
    editor.press("Enter")
    editor.wait_until(lambda: len(editor.nodes()) == 2, "the node is added")
    editor.press("l")
    ports = chooser(editor, "connect")
    assert rows(ports)[:2] == ["out", "image"]
    editor.page.keyboard.type("image")
    editor.press("Enter")
    editor.wait_until(lambda: "load" in chooser(editor, "connect").inner_text(), "what fits is listed")
    listed = [row.get_attribute("data-end") for row in chooser(editor, "connect").locator("[role=option]").all()]
    assert listed == ["load.image", "new"]  # neither the mask nor its own output
    editor.press("Enter")
    (id,) = set(editor.nodes()) - {"load"}
    assert editor.nodes()[id]["links"] == {"image": "load.image"}
    for _ in range(2):
        before = editor.nodes()
        editor.press("Shift+A")
        chooser(editor, "palette")
        editor.page.keyboard.type("imageinvert")
        editor.press("Enter")
        added(editor, before)
    places = [place["x"] for name, place in editor.document()["view"].items() if name != "load"]
    assert places == sorted(places)
    assert min(right - left for left, right in pairwise(places)) > 100, "they lie beside each other"
    focused = editor.page.locator("article[data-node]:focus")
    assert focused.bounding_box() is not None
    assert focused.get_attribute("data-node") not in {"load", id}


def test_13_enter_on_a_port_wires_replaces_and_removes(editor: Editor) -> None:
    editor.open(PICTURE)
    editor.port("save", "in:images").focus()
    editor.press("Enter")
    listed = [row.get_attribute("data-end") for row in chooser(editor, "connect").locator("[role=option]").all()]
    assert set(listed) == {"load.image", "flip.out", "new", "remove save.images"}
    editor.page.keyboard.type("load")
    editor.press("Enter")
    assert editor.nodes()["save"]["links"] == {"images": "load.image"}
    editor.port("save", "in:images").focus()
    editor.press("Enter")
    editor.page.keyboard.type("remove")
    editor.press("Enter")
    assert "links" not in editor.nodes()["save"]
    editor.press("Mod+Z", "Mod+Z")
    assert editor.nodes() == PICTURE["nodes"]

"""The canvas in a browser: moving the view, ports, and wiring by the pointer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.editor.canvas_driver import WORKFLOW, Canvas, Point


def near(a: Point, b: Point, by: float = 1.5) -> bool:
    return abs(a[0] - b[0]) <= by and abs(a[1] - b[1]) <= by


def moved(canvas: Canvas, before: dict[str, float]) -> Point:
    after = canvas.view()
    assert after["zoom"] == pytest.approx(before["zoom"])
    return after["x"] - before["x"], after["y"] - before["y"]


def test_01_pan_with_space_middle_button_and_two_fingers(canvas: Canvas) -> None:
    editor, start = canvas.editor, canvas.free()
    end = (start[0] - 90, start[1] + 40)
    before = canvas.view()
    editor.drag(start, end, keys=["Space"])
    assert near(moved(canvas, before), (-90, 40))
    before = canvas.view()
    text = editor.place(editor.field("prompt", "text"))  # over a text, which must not be selected
    editor.drag(text, (text[0] + 60, text[1] + 30), button="middle")
    assert near(moved(canvas, before), (60, 30))
    before = canvas.view()
    canvas.page.mouse.move(*start)
    canvas.page.mouse.wheel(30, 12)
    editor.wait_until(lambda: near(moved(canvas, before), (-30, -12)), "two fingers pan")
    assert canvas.page.evaluate("() => String(getSelection())") == ""
    assert not editor.state()["canUndo"]


def test_02_zoom_about_the_pointer_within_limits(canvas: Canvas) -> None:
    page, place = canvas.page, canvas.client(800, 100)
    before, zoom = canvas.point(place), canvas.view()["zoom"]
    page.mouse.move(*place)
    page.mouse.wheel(0, -120)
    canvas.editor.wait_until(lambda: canvas.view()["zoom"] > zoom, "the wheel zooms in")
    assert near(canvas.point(place), before, 1)
    for _ in range(40):
        page.mouse.wheel(0, -240)
    canvas.editor.wait_until(lambda: canvas.view()["zoom"] == 4, "zoomed in as far as it goes")
    for _ in range(60):
        page.mouse.wheel(0, 240)
    canvas.editor.wait_until(lambda: canvas.view()["zoom"] == 0.05, "zoomed out as far as it goes")
    canvas.editor.press("Alt+0")
    canvas.editor.wait_until(lambda: canvas.view()["zoom"] == 1, "zoomed to 100 %")
    canvas.editor.press("Alt+=")
    assert canvas.view()["zoom"] == 1.25
    canvas.editor.press("Mod+-")
    assert canvas.view()["zoom"] == 1
    assert page.evaluate("() => [visualViewport.scale, devicePixelRatio]") == [1, 1]


def test_02_pinching_a_trackpad_zooms_the_canvas_not_the_page(canvas: Canvas) -> None:
    place = canvas.client(800, 100)
    before, zoom = canvas.point(place), canvas.view()["zoom"]
    canvas.page.mouse.move(*place)
    with canvas.editor.held(["Control"]):
        for _ in range(5):
            canvas.page.mouse.wheel(0, -8)
    canvas.editor.wait_until(lambda: canvas.view()["zoom"] > zoom * 1.2, "pinched")
    assert near(canvas.point(place), before, 1)
    assert canvas.page.evaluate("() => [visualViewport.scale, devicePixelRatio]") == [1, 1]


def test_02_two_fingers_on_a_touchscreen_zoom_and_one_moves(canvas: Canvas) -> None:
    session = canvas.page.context.new_cdp_session(canvas.page)

    def touch(type: str, *fingers: Point) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": type, "touchPoints": points})

    x, y = canvas.free()
    before = canvas.view()
    touch("touchStart", (x, y))
    for step in range(1, 6):
        touch("touchMove", (x - 10 * step, y))
    touch("touchEnd")
    assert moved(canvas, before)[0] == pytest.approx(-50, abs=12)
    before, middle = canvas.view(), canvas.point((x, y))
    touch("touchStart", (x - 50, y))
    touch("touchStart", (x - 50, y), (x + 50, y))
    for step in range(1, 6):
        touch("touchMove", (x - 50 - 10 * step, y), (x + 50 + 10 * step, y))
    touch("touchEnd")
    assert canvas.view()["zoom"] == pytest.approx(before["zoom"] * 2, rel=0.05)
    assert near(canvas.point((x, y)), middle, 12)


def test_03_fit_shows_everything_or_the_selection(canvas: Canvas) -> None:
    editor, size = canvas.editor, canvas.page.locator("#canvas").bounding_box()
    assert size is not None
    editor.drag((900, 500), (100, 100), button="middle")
    editor.press("Home")
    editor.at_rest()
    a, b = canvas.client(0, 0), canvas.client(1400, 560)
    assert size["x"] < a[0] < b[0] < size["x"] + size["width"]
    assert size["y"] < a[1] < b[1] < size["y"] + size["height"]
    editor.click(canvas.header("flip"))
    editor.press(".")
    editor.at_rest()
    place = editor.place(editor.node("flip"))
    assert near(place, (size["x"] + size["width"] / 2, size["y"] + size["height"] / 2), 3)


def test_03_whoever_wants_no_motion_is_there_at_once(canvas: Canvas) -> None:
    canvas.page.emulate_media(reduced_motion="reduce")
    canvas.editor.drag((900, 500), (100, 100), button="middle")
    before = canvas.view()
    canvas.editor.press("Home")
    first = canvas.view()
    assert first != before
    canvas.editor.at_rest()
    assert canvas.view() == first


def mark(canvas: Canvas, id: str, port: str) -> dict[str, Any]:
    script = "(e) => ({shape: e.dataset.shape, color: getComputedStyle(e).backgroundColor})"
    found: dict[str, Any] = canvas.editor.port(id, port).locator(".port-mark").evaluate(script)
    return found


def test_06_ports_tell_their_type_by_colour_shape_and_words(canvas: Canvas) -> None:
    latent, image = mark(canvas, "sample", "out:out"), mark(canvas, "decode", "out:out")
    assert latent["shape"] != image["shape"]
    assert latent["color"] != image["color"]
    assert mark(canvas, "decode", "in:samples") == latent
    assert "Latent" in (canvas.editor.port("sample", "out:out").get_attribute("title") or "")
    assert "required" in (canvas.editor.port("flip", "in:samples").get_attribute("title") or "")
    canvas.editor.press("Alt+L")
    legend = canvas.page.locator(".legend")
    for name in ("Latent", "Image", "Conditioning", "Model"):
        assert legend.get_by_text(name, exact=True).is_visible()
    canvas.editor.press("Alt+L")
    assert not legend.is_visible()


def test_07_while_a_link_is_drawn_what_fits_grows_and_the_rest_is_dim(canvas: Canvas) -> None:
    editor = canvas.editor
    with editor.dragging(editor.port("flip", "out:out"), canvas.free()):
        assert editor.port("decode", "in:samples").get_attribute("data-fit") == "yes"
        assert editor.port("decode", "in:vae").get_attribute("data-fit") == "no"
        dim = editor.port("decode", "in:vae").evaluate("(e) => Number(getComputedStyle(e).opacity)")
        assert dim < 0.5
        size = "(e) => Number(getComputedStyle(e).scale)"
        mark = editor.port("decode", "in:samples").locator(".port-mark")
        editor.wait_until(lambda: mark.evaluate(size) > 1, "what fits grows")
        canvas.page.keyboard.press("Escape")
    assert editor.port("decode", "in:vae").get_attribute("data-fit") is None
    assert editor.document()["nodes"] == WORKFLOW["nodes"]


def test_07_a_clash_of_types_and_a_cycle_are_refused_with_the_reason(canvas: Canvas) -> None:
    editor, hint = canvas.editor, canvas.page.locator(".canvas-hint")
    before = editor.nodes()
    with editor.dragging(editor.port("latent", "out:out"), editor.port("save", "in:images")):
        assert "Image" in hint.inner_text()
        assert "Latent" in hint.inner_text()
    editor.drag(editor.port("flip", "out:out"), editor.port("sample", "in:latent_image"))
    assert canvas.links("sample")["latent_image"] == "flip.out"
    with editor.dragging(editor.port("sample", "out:out"), editor.port("flip", "in:samples")):
        assert "cycle" in hint.inner_text()
    assert "links" not in editor.nodes()["flip"]
    assert editor.nodes()["save"] == before["save"]


def test_08_a_link_to_a_taken_input_takes_its_place_in_one_step(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.drag(editor.port("flip", "out:out"), editor.port("decode", "in:samples"))
    assert canvas.links("decode")["samples"] == "flip.out"
    editor.press("Mod+Z")
    assert canvas.links("decode")["samples"] == "sample.out"


def test_09_a_link_comes_off_its_input_and_goes_to_another(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.drag(editor.port("sample", "in:positive"), editor.port("sample", "in:negative"))
    assert canvas.links("sample").get("positive") is None
    assert canvas.links("sample")["negative"] == "prompt.out"
    editor.press("Mod+Z")
    assert canvas.links("sample") == WORKFLOW["nodes"]["sample"]["links"]
    editor.drag(editor.port("decode", "in:samples"), canvas.free())
    assert "samples" not in canvas.links("decode")
    editor.press("Mod+Z")
    editor.drag(editor.port("decode", "in:samples"), editor.port("decode", "in:samples"))
    assert canvas.links("decode")["samples"] == "sample.out"


def test_09_with_mod_all_links_of_an_output_move(canvas: Canvas) -> None:
    editor = canvas.editor
    editor.click(canvas.header("model"))
    editor.press("Mod+D")
    (copy,) = {id for id in editor.nodes() if id not in WORKFLOW["nodes"]}
    canvas.move_to(copy, 0, 420)
    editor.drag(editor.port("model", "out:clip"), editor.port(copy, "out:clip"), keys=["Control"])
    assert canvas.links("prompt")["clip"] == canvas.links("negative")["clip"] == f"{copy}.clip"
    editor.press("Mod+Z")
    assert canvas.links("prompt")["clip"] == canvas.links("negative")["clip"] == "model.clip"


def test_10_a_node_dropped_on_a_link_goes_into_it_and_makes_room(canvas: Canvas) -> None:
    editor = canvas.editor
    target = canvas.path("sample.out", "decode.samples")[2]
    before = {id: canvas.at(id) for id in ("sample", "decode", "save")}
    editor.drag(canvas.header("flip"), target)
    assert canvas.links("flip") == {"samples": "sample.out"}
    assert canvas.links("decode")["samples"] == "flip.out"
    flip, decode = editor.node("flip").bounding_box(), editor.node("decode").bounding_box()
    assert flip is not None
    assert decode is not None
    assert decode["x"] >= flip["x"] + flip["width"]
    far = canvas.at("decode")[0] - before["decode"][0]
    assert far > 0
    assert canvas.at("sample") == before["sample"], "what comes before stays"
    for id in ("decode", "save"):
        assert canvas.at(id) == (before[id][0] + far, before[id][1]), "what comes after moves on"
    editor.press("Mod+Z")
    assert canvas.at("flip") == (340, 460)
    assert canvas.links("decode")["samples"] == "sample.out"


def test_10_alt_keeps_a_node_off_the_link(canvas: Canvas) -> None:
    target = canvas.path("sample.out", "decode.samples")[2]
    with canvas.editor.dragging(canvas.header("flip"), target):
        canvas.page.keyboard.down("Alt")
        canvas.page.mouse.move(target[0] + 1, target[1])
    canvas.page.keyboard.up("Alt")
    assert canvas.links("decode")["samples"] == "sample.out"
    assert canvas.at("flip") != (340, 460)


def test_11_a_stroke_with_mod_and_the_right_button_cuts_links(canvas: Canvas) -> None:
    editor = canvas.editor
    points = [
        canvas.path(f"{id}.out", f"sample.{port}")[2] for id, port in (("prompt", "positive"), ("negative", "negative"))
    ]
    x = (points[0][0] + points[1][0]) / 2
    low, high = min(y for _, y in points) - 30, max(y for _, y in points) + 30
    with editor.dragging((x, low), (x, high), button="right", keys=["Control"]):
        assert "to cut" in canvas.page.locator(".canvas-hint").inner_text()
        assert canvas.links("sample") == WORKFLOW["nodes"]["sample"]["links"]
    assert not {"positive", "negative"} & set(canvas.links("sample"))
    editor.press("Mod+Z")
    assert canvas.links("sample") == WORKFLOW["nodes"]["sample"]["links"]
    assert canvas.page.locator("[role=menu]").count() == 0


def routes(canvas: Canvas) -> dict[str, Any]:
    found: dict[str, Any] = canvas.editor.document()["view"].get(".routes", {})
    return found


def test_12_double_click_gives_a_link_a_bend_that_moves_and_goes(canvas: Canvas) -> None:
    editor = canvas.editor
    place = canvas.path("sample.out", "decode.samples")[2]
    editor.click(place, count=2)
    (bend,) = routes(canvas)["decode.samples"]
    assert near((bend["x"], bend["y"]), canvas.point(place), 2)
    assert canvas.links("decode")["samples"] == "sample.out"
    editor.drag(place, (place[0] + 50, place[1] - 60))
    (bend,) = routes(canvas)["decode.samples"]
    assert near((bend["x"], bend["y"]), canvas.point((place[0] + 50, place[1] - 60)), 8)
    editor.click((place[0] + 50, place[1] - 60))
    editor.press("Delete")
    assert routes(canvas) == {}
    assert canvas.links("decode")["samples"] == "sample.out"


def test_12_a_stroke_with_shift_and_the_right_button_bends_links(canvas: Canvas) -> None:
    editor = canvas.editor
    x, y = canvas.path("sample.out", "decode.samples")[2]
    editor.drag((x, y - 40), (x, y + 40), button="right", keys=["Shift"])
    assert len(routes(canvas)["decode.samples"]) == 1
    editor.press("Mod+Z")
    assert routes(canvas) == {}

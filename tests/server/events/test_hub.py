"""The hub by itself: numbers, what is merged, who gets what, what is kept."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Any

import pytest

from nodegraph.server.errors import ApiError
from nodegraph.server.hub import PREVIEW_BYTES, RESYNC, Hub, Subscription
from nodegraph.server.ring import SHARED_BYTES, Audience, Ring, websocket_form
from nodegraph.server.security.principal import Principal
from nodegraph.server.settings import Limits

ANN, BOB = Principal("ann"), Principal("bob")


def events(stream: Subscription) -> list[dict[str, Any]]:
    """Take all that waits for a stream."""
    found: list[dict[str, Any]] = []
    while (frame := stream.frame(websocket_form)) is not None:
        found.extend(json.loads(frame)["events"])
    return found


def types(stream: Subscription) -> list[str]:
    return [event["type"] for event in events(stream)]


def small(length: int) -> Hub:
    """Return a hub that keeps only the last few events."""
    return Hub(ring=Ring(length, 2**20, 0.0))


async def test_events_are_numbered_in_the_order_they_were_published() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    for number in range(5):
        hub.publish("job.changed", {"n": number}, user="ann", job=f"j{number}")
    hub.flush()
    told = events(stream)
    assert [event["seq"] for event in told] == [1, 2, 3, 4, 5]
    assert [event["data"]["n"] for event in told] == [0, 1, 2, 3, 4]
    assert [event["job"] for event in told] == ["j0", "j1", "j2", "j3", "j4"]


async def test_what_is_published_is_flushed_by_itself() -> None:
    hub = Hub(tick=0.01)
    stream = hub.subscribe(ANN)
    await stream.wait()
    hub.publish("queue.changed", {}, user=None)
    await asyncio.wait_for(stream.wait(), 1)
    assert types(stream) == ["queue.changed"]


async def test_within_a_tick_the_last_progress_of_a_node_stands_for_all() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    for value in (1, 2, 3):
        hub.publish("node.progress", {"node": "a", "value": value}, user="ann", job="j")
        hub.publish("node.progress", {"node": "b", "value": 10 * value}, user="ann", job="j")
    hub.flush()
    assert [(event["data"]["node"], event["data"]["value"]) for event in events(stream)] == [("a", 3), ("b", 30)]
    hub.publish("node.progress", {"node": "a", "value": 4}, user="ann", job="j")
    hub.flush()
    assert [event["data"]["value"] for event in events(stream)] == [4]


async def test_progress_is_not_merged_across_another_event_of_the_job() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    hub.publish("node.progress", {"node": "a", "value": 1}, user="ann", job="j")
    hub.publish("node.failed", {"node": "a"}, user="ann", job="j")
    hub.publish("node.progress", {"node": "a", "value": 2}, user="ann", job="j")
    hub.flush()
    assert types(stream) == ["node.progress", "node.failed", "node.progress"]


async def test_users_get_their_own_events_and_those_for_everybody() -> None:
    hub = Hub()
    ann, bob, both = hub.subscribe(ANN), hub.subscribe(BOB), hub.subscribe(ANN, everything=True)
    hub.publish("job.done", {}, user="ann", job="1")
    hub.publish("job.failed", {}, user="bob", job="2")
    hub.publish("queue.changed", {}, user=None)
    hub.flush()
    assert types(ann) == ["job.done", "queue.changed"]
    assert types(bob) == ["job.failed", "queue.changed"]
    assert types(both) == ["job.done", "job.failed", "queue.changed"]


async def test_a_stream_of_some_jobs_carries_no_others_and_never_those_of_another_user() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN, jobs=["1", "3"])
    for user, job in (("ann", "1"), ("ann", "2"), ("bob", "3")):
        hub.publish("job.done", {}, user=user, job=job)
    hub.publish("queue.changed", {}, user=None)
    hub.flush()
    assert [event["job"] for event in events(stream)] == ["1"]


async def test_streams_of_one_audience_share_the_bytes_of_a_frame() -> None:
    hub = Hub()
    first, second, other = hub.subscribe(ANN), hub.subscribe(ANN), hub.subscribe(BOB)
    hub.publish("queue.changed", {}, user=None)
    hub.flush()
    frame = first.frame(websocket_form)
    assert frame is not None
    assert second.frame(websocket_form) is frame
    assert other.frame(websocket_form) is not frame


@pytest.mark.parametrize("seen", range(6))
async def test_who_comes_back_gets_exactly_what_was_missed(seen: int) -> None:
    hub = Hub()
    for number in range(5):
        hub.publish("job.done", {"n": number}, user="bob" if number == 2 else "ann", job=str(number))
    hub.flush()
    stream = hub.subscribe(ANN, f"{hub.epoch}:{seen}")
    assert stream.replayed
    assert [event["data"]["n"] for event in events(stream)] == [n for n in range(5) if n != 2 and n >= seen]


async def test_what_cannot_be_taken_up_needs_a_snapshot() -> None:
    hub = small(3)
    for number in range(9):
        hub.publish("job.done", {}, user="ann", job=str(number))
    hub.flush()
    assert hub.subscribe(ANN, f"{hub.epoch}:6").replayed
    places = (f"{hub.epoch}:5", f"{hub.epoch}:10", "beef:8", "", None, "x", f"{hub.epoch}:", f"{hub.epoch}:-1", ":8")
    for place in (*places, f"{hub.epoch}:{'9' * 5000}", f"{hub.epoch}:٣"):
        stream = hub.subscribe(ANN, place)
        assert (stream.replayed, stream.cursor) == (False, 9), place


async def test_two_runs_of_a_server_do_not_take_up_each_others_streams() -> None:
    assert Hub().epoch != Hub().epoch


async def test_who_falls_out_of_the_ring_is_cut_and_nobody_else() -> None:
    hub = small(10)
    slow, quick = hub.subscribe(ANN), hub.subscribe(ANN)
    for number in range(4):
        for _ in range(5):
            hub.publish("job.done", {}, user="ann", job=str(number))
        hub.flush()
        assert len(events(quick)) == 5
    assert events(slow) == []
    assert slow.cut is not None
    assert slow.cut.code == RESYNC
    assert quick.cut is None
    slow.close()
    assert (hub.streams, hub.cuts) == (1, 1)


async def test_what_happens_to_others_pushes_nobody_out_of_the_ring() -> None:
    hub = small(10)
    ann, some = hub.subscribe(ANN), hub.subscribe(BOB, jobs=["x"])
    for _ in range(50):
        hub.publish("job.done", {}, user="bob", job="y")
        hub.flush()
        assert events(some) == []
    hub.publish("queue.changed", {}, user=None)
    hub.flush()
    assert types(ann) == ["queue.changed"]
    assert (ann.cut, some.cut) == (None, None)


async def test_a_burst_beyond_the_rings_length_cuts_nobody_who_reads() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    for number in range(20_000):
        hub.publish("job.queued", {"n": number}, user="ann", job=str(number))
    hub.flush()
    assert [event["data"]["n"] for event in events(stream)] == list(range(20_000))


def test_the_ring_holds_no_more_bytes_than_it_may() -> None:
    ring = Ring(1000, 10_000, 3600.0)
    for _ in range(5000):
        ring.append("ann", None, b'{"x":"' + b"y" * 90 + b'"}', 0.0)
    assert ring.seq == 5000
    assert 80 < len(ring) <= 100
    assert ring.holds(5000)
    assert ring.holds(5000 - len(ring))
    assert not ring.holds(5000 - len(ring) - 1)


def test_frames_kept_to_be_shared_are_bounded() -> None:
    ring = Ring(10_000, 2**30, 3600.0)
    for _ in range(2000):
        ring.append("ann", None, b'{"x":"' + b"y" * 5000 + b'"}', 0.0)
    for after in range(0, 2000, 3):
        ring.frame(websocket_form, Audience("ann"), after)
    assert sum(len(frame or b"") for frame, _ in ring._shared.values()) == ring._shared_bytes
    assert 2**20 < ring._shared_bytes <= SHARED_BYTES


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_comes_and_goes_misses_nothing_and_gets_nothing_twice(seed: int) -> None:
    choice = random.Random(seed)
    hub = Hub()
    audience: dict[str, Any] = choice.choice([{}, {"jobs": ["0", "1"]}, {"everything": True}])
    stream = hub.subscribe(ANN, **audience)
    seen: list[int] = []
    expected: list[int] = []
    for number in range(600):
        user, job = choice.choice(["ann", "ann", "bob", None]), str(choice.randrange(3))
        hub.publish("job.changed", {"n": number}, user=user, job=job)
        if ("everything" in audience or user != "bob") and job in audience.get("jobs", "012"):
            expected.append(number)
        if choice.random() < 0.3:
            hub.flush()
        if choice.random() < 0.1:
            seen += [event["data"]["n"] for event in events(stream)]
        if choice.random() < 0.05:
            stream.close()
            stream = hub.subscribe(ANN, f"{hub.epoch}:{stream.cursor}", **audience)
            assert stream.replayed
    hub.flush()
    seen += [event["data"]["n"] for event in events(stream)]
    assert seen == expected


async def test_frames_are_of_bounded_size() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    for number in range(40):
        hub.publish("job.done", {"text": "x" * 50_000}, user="ann", job=str(number))
    hub.flush()
    sizes: list[int] = []
    while (frame := stream.frame(websocket_form)) is not None:
        sizes.append(len(frame))
    assert len(sizes) == 40
    assert max(sizes) < 70_000


async def test_values_that_json_lacks_break_no_stream() -> None:
    hub = Hub()
    stream = hub.subscribe(ANN)
    data: dict[Any, Any] = {
        "nan": float("nan"),
        "list": (1, float("inf")),
        "other": ANN,
        "lone": "\ud800",
        "large": 2**70,
        3: "three",
    }
    hub.publish("job.done", data, user="ann", job="1")
    hub.flush()
    told = events(stream)[0]["data"]
    assert (told["nan"], told["list"], told["large"], told["3"]) == (None, [1, None], 2**70, "three")
    assert told["lone"] == "\ud800"


async def test_previews_are_the_newest_of_each_node_and_ten_a_second_at_most() -> None:
    hub = Hub(tick=0.01)
    stream = hub.subscribe(ANN, previews=True)
    got: list[bytes] = []
    began = time.monotonic()
    for number in range(60):
        if number < 40:
            hub.preview("ann", "j", "n", "image/jpeg", 8, 8, str(number).encode())
        await asyncio.sleep(0.01)
        while (preview := stream.preview()) is not None:
            got.append(preview)
    assert got[-1].endswith(b"}39")
    assert 4 <= len(got) <= 1 + (time.monotonic() - began) / 0.1


async def test_previews_give_way_to_newer_ones_within_a_bound() -> None:
    hub = Hub(tick=0.0)
    stream = hub.subscribe(ANN, previews=True)
    for number in range(10):
        hub.preview("ann", "j", str(number), "image/png", 1, 1, bytes(PREVIEW_BYTES // 4))
    hub.preview("ann", "j", "long", "image/png", 1, 1, bytes(PREVIEW_BYTES + 1))
    await asyncio.sleep(0.05)
    kept = []
    while (preview := stream.preview()) is not None:
        kept.append(json.loads(preview[4 : 4 + int.from_bytes(preview[:4], "big")])["node"])
    assert kept == ["7", "8", "9"]


async def test_previews_reach_only_who_asked_and_late_comers_see_the_last_one() -> None:
    hub = Hub(tick=0.0)
    plain, other = hub.subscribe(ANN), hub.subscribe(BOB, previews=True)
    assert not hub.watched("ann", "j")
    hub.preview("ann", "j", "n", "image/png", 1, 1, b"picture")
    await asyncio.sleep(0.02)
    late = hub.subscribe(ANN, previews=True)
    assert hub.watched("ann", "j")
    assert [stream.preview() is None for stream in (plain, other, late)] == [True, True, False]
    plain.choose(previews=True)
    assert plain.preview() is not None


async def test_previews_of_a_job_that_is_over_are_dropped() -> None:
    hub = Hub(tick=0.0)
    stream = hub.subscribe(ANN, previews=True)
    hub.preview("ann", "j", "n", "image/png", 1, 1, b"picture")
    await asyncio.sleep(0.02)
    hub.preview("ann", "j", "n", "image/png", 1, 1, b"newer")
    hub.publish("job.done", {}, user="ann", job="j")
    await asyncio.sleep(0.15)
    assert stream.preview() is None
    assert hub.subscribe(ANN, previews=True).preview() is None


async def test_who_makes_previews_hears_when_they_are_wanted() -> None:
    hub = Hub()
    heard: list[bool] = []
    hub.on_watch(lambda: heard.append(hub.watched("ann", "j")))
    stream = hub.subscribe(ANN, jobs=["other"])
    stream.choose(previews=True, jobs=["other"])
    stream.choose(jobs=["j"])
    stream.close()
    assert heard == [False, False, True, False]


async def test_streams_are_limited_each_and_in_all() -> None:
    hub = Hub(Limits(sockets=3, sockets_each=2))
    first = hub.subscribe(ANN)
    hub.subscribe(ANN)
    with pytest.raises(ApiError) as refused:
        hub.subscribe(ANN)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "10")
    hub.subscribe(BOB)
    with pytest.raises(ApiError) as refused:
        hub.subscribe(BOB)
    assert refused.value.status == 503
    first.close()
    first.close()
    hub.subscribe(BOB)
    assert hub.streams == 3


async def test_a_hub_that_stopped_admits_nobody() -> None:
    hub = Hub()
    hub.stop()
    with pytest.raises(ApiError) as refused:
        hub.subscribe(ANN)
    assert (refused.value.status, refused.value.code) == (503, "stopping")

"""Outputs: reserved once for each (job, node, ordinal), settled when the file is in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from nodegraph.server.records import Output, Submission
from nodegraph.server.store.store import Store

Submit = Callable[..., Submission]
GIVEN = Output(id="", seq=0, job="j" * 32, user="owner", node="a/save", ordinal=0, name="a/b_1.png", media="image/png")


async def test_a_rerun_finds_the_row_of_before(store: Store) -> None:
    first = await store.reserve_output(GIVEN)
    assert not first.there
    assert first.id
    again = await store.reserve_output(replace(GIVEN, name="a/shapes_00002_.png"))
    assert again == first
    settled = await store.settle_output(first.id, first.name, 123, 64, 32)
    assert settled == replace(first, size=123, width=64, height=32, there=True)
    assert await store.reserve_output(replace(GIVEN, name="other.png")) == settled
    other = await store.reserve_output(replace(GIVEN, ordinal=1))
    assert other.id != first.id
    assert [output.id for output in await store.unsettled()] == [other.id]


async def test_of_many_who_reserve_all_get_the_same(store: Store) -> None:
    found = await asyncio.gather(*(store.reserve_output(GIVEN) for _ in range(20)))
    assert len(set(found)) == 1


async def test_only_what_is_there_is_listed(store: Store) -> None:
    settled = list[Output]()
    for ordinal in range(5):
        kind = "temp" if ordinal == 4 else "output"
        output = await store.reserve_output(replace(GIVEN, ordinal=ordinal, kind=kind))
        if ordinal:
            done = await store.settle_output(output.id, f"{ordinal}.png", ordinal, None, None, "image/webp")
            assert done is not None
            settled.append(done)
    page = await store.outputs("owner", limit=3)
    assert list(page.items) == settled[:0:-1]
    rest = await store.outputs("owner", cursor=page.cursor)
    assert (list(rest.items), rest.cursor) == (settled[:1], None)
    assert [output.ordinal for output in (await store.outputs(kind="temp")).items] == [4]
    assert (await store.outputs(job=GIVEN.job, node="other")).items == ()
    assert (await store.outputs("anna")).items == ()
    assert (await store.outputs(before=settled[0].created)).items == ()
    assert len((await store.outputs(before=settled[-1].created + 1)).items) == 4


async def test_an_output_is_its_users_alone(store: Store) -> None:
    output = await store.reserve_output(GIVEN)
    assert await store.output(output.id, "owner") == output
    assert await store.output(output.id, "anna") is None
    assert await store.output("0" * 32) is None


async def test_an_output_is_renamed_and_forgotten(store: Store) -> None:
    output = await store.reserve_output(GIVEN)
    renamed = await store.rename_output(output.id, "b.png")
    assert renamed == replace(output, name="b.png")
    assert await store.rename_output("0" * 32, "b.png") is None
    assert await store.settle_output("0" * 32, "b.png") is None
    assert await store.delete_outputs([output.id, "0" * 32]) == 1
    assert await store.output(output.id) is None
    again = await store.reserve_output(GIVEN)
    assert again.id != output.id
    assert again.seq > output.seq


async def test_a_file_that_takes_the_name_of_one_that_is_gone_takes_its_row_away(store: Store) -> None:
    gone = await store.reserve_output(GIVEN)
    await store.settle_output(gone.id, gone.name, 1)
    others = [replace(GIVEN, job="k" * 32, user="anna"), replace(GIVEN, job="l" * 32, kind="temp")]
    for other in others:
        row = await store.reserve_output(other)
        await store.settle_output(row.id, row.name, 1)
    new = await store.reserve_output(replace(GIVEN, job="m" * 32))
    assert await store.settle_output(new.id, new.name, 2) is not None
    assert await store.output(gone.id) is None
    assert {output.job[0] for output in (await store.outputs()).items} == {"k", "l", "m"}

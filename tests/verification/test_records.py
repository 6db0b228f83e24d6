"""Records are read leniently, and compared thing by thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodegraph.verification.records import Record, compare_records, read_record

WHOLE: dict[str, Any] = {
    "engine": "nodegraph 1.0",
    "libraries": {"torch": "2.6", "python": "3.11.7"},
    "device": "cuda:0",
    "dtype": "bfloat16",
    "device_name": "NVIDIA Something",
    "files": {"loras/a.safetensors": "ab"},
    "file_sizes": {"loras/a.safetensors": 12},
    "extensions": {"sampler drift": "soft 1.0"},
    "nodes": [
        {"id": "blur", "type": "soft.Blur", "version": "1", "plugin": "soft 1.0"},
        {"id": "save", "type": "SaveImage", "version": "1", "plugin": "nodegraph.nodes 1.0"},
    ],
    "picture": {"index": 2, "origin": {"seed": 5, "batch_index": 2}},
    "settings": {"compile": True},
    "newer": [1],
}


def read(**changes: Any) -> Record:
    record = read_record({**WHOLE, **changes})
    assert record is not None
    return record


def differences(**changes: Any) -> list[str]:
    return [str(difference) for difference in compare_records(read(), read(**changes))]


def test_a_record_is_read_whole() -> None:
    record = read()
    assert (record.saver, record.index, record.origin) == ("save", 2, {"seed": 5, "batch_index": 2})
    assert record.sizes == {"loras/a.safetensors": 12}
    assert record.more == {"compile": True, "newer": [1]}
    assert compare_records(record, record) == ()


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"nodes": "many", "files": [], "libraries": None, "picture": 3, "file_sizes": "large"},
        {"nodes": [None, {"id": 4}], "picture": {"index": -1}, "file_sizes": {"a": "b"}},
    ],
)
def test_what_a_record_lacks_or_says_strangely_is_passed_over(value: dict[str, Any]) -> None:
    record = read_record(value)
    assert record is not None
    assert record.index == 0
    assert [one.kind for one in compare_records(record, read()) if one.kind not in ("node", "file", "origin")] == []


@pytest.mark.parametrize("value", [None, [], "text", 4])
def test_what_is_no_record_is_none(value: object) -> None:
    assert read_record(value) is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"engine": "nodegraph 1.1"}, ["nodegraph: was 1.0, now 1.1"]),
        ({"libraries": {"torch": "2.7", "python": "3.11.7", "new": "1"}}, ["torch: was 2.6, now 2.7"]),
        (
            {"device": "cpu", "device_name": None},
            ["device: was cuda:0, now cpu", "device name: was NVIDIA Something, now"],
        ),
        ({"dtype": "float16"}, ["dtype: was bfloat16, now float16"]),
        ({"files": {"loras/a.safetensors": "cd"}}, ["loras/a.safetensors: was sha256 ab, now sha256 cd"]),
        ({"files": {}}, ["loras/a.safetensors: was sha256 ab, now absent"]),
        ({"extensions": {"sampler drift": "soft 1.0"}, "settings": {}}, ["compile: was True, now absent"]),
        ({"settings": {"compile": False}}, ["compile: was True, now False"]),
        ({"newer": [2]}, ["newer: was [1], now [2]"]),
        ({"picture": {"index": 2, "origin": None}}, ["seed and place in the batch: was {'seed': 5, 'batch_index': 2}"]),
    ],
)
def test_what_differs_is_told_by_name(changes: dict[str, Any], told: list[str]) -> None:
    found = differences(**changes)
    assert len(found) == len(told)
    assert all(one.startswith(start) for one, start in zip(found, told, strict=True))


def test_plugins_are_told_once_by_their_versions() -> None:
    nodes = [{**WHOLE["nodes"][0], "plugin": "soft 1.1"}, {**WHOLE["nodes"][1], "plugin": "nodegraph.nodes 1.2"}]
    assert differences(nodes=nodes, extensions={"sampler drift": "soft 1.1"}) == ["plugin soft: was 1.0, now 1.1"]
    alone = replace(read(), nodes=())
    newer = replace(alone, extensions={"sampler drift": "soft 2.0"})
    assert [str(one) for one in compare_records(alone, newer)] == ["plugin soft: was 1.0, now 2.0"]


def test_nodes_are_told_by_type_version_and_plugin() -> None:
    blur, save = WHOLE["nodes"]
    assert differences(nodes=[{**blur, "version": "2"}, save]) == [
        "node blur (soft.Blur): was version 1, now version 2"
    ]
    assert differences(nodes=[save]) == ["node blur: was soft.Blur, now absent"]
    assert differences(nodes=[{**blur, "type": "soft.Haze"}, save]) == ["node blur: was soft.Blur, now soft.Haze"]
    hard = [{**blur, "plugin": "hard 1.0"}, save]
    assert "node blur (soft.Blur): was of soft 1.0, now of hard 1.0" in differences(nodes=hard)

"""Records as scripts take them: whole, and by the names of their fields."""

from dataclasses import fields
from typing import Any

import msgpack
import pytest

from state.outlier import packing
from state.outlier.rates import Count, Outcomes, RateRule
from state.outlier.run import LOCAL_FAILURE, Run, Streak
from state.outlier.store import NO_PROBE, Batch, Ejection, Policy

BATCH = Batch("c", "10.0.0.1:80", "pod a", 7, LOCAL_FAILURE, 503, "r 1", "0@r%201/id")
POLICY = Policy(3, 10_000, 30_000, 50, 3, 2, 2, True)
EJECTION = Ejection("10.0.0.1:80", "pod a", 20_000, 30_000, 4, 3, 1, 1, "r 1", "consecutive_5xx", NO_PROBE)
BY_KEYS = {"cluster", "endpoint"}


def names(kind: Any) -> set[str]:
    return {field.name for field in fields(kind)}


@pytest.mark.parametrize(
    ("packed", "kind"),
    [(packing.batch(BATCH), Batch), (packing.policy(POLICY), Policy), (packing.ejection(EJECTION), Ejection)],
)
def test_no_field_is_left_out(packed: bytes, kind: Any) -> None:
    assert set(msgpack.unpackb(packed)) == names(kind) - BY_KEYS


def test_rates_go_by_the_names_of_the_store() -> None:
    told = Outcomes("r 1", {("10.0.0.1:80", "pod a"): Count(3, 1)}, 7)
    assert msgpack.unpackb(packing.rates(told)) == {
        "by": "r%201",
        "dice": 7,
        "counts": {"10.0.0.1:80 pod%20a": {"well": 3, "badly": 1}},
    }
    rule = RateRule(10_000, success_rate_minimum_hosts=5)
    assert RateRule(**msgpack.unpackb(packing.rate_rule(rule))) == rule


def test_several_rows_go_where_they_are_asked_for() -> None:
    told = msgpack.unpackb(packing.batch(BATCH, several=True))["run"]
    gateway, local_origin = Streak(**told.pop("gateway")), Streak(**told.pop("local_origin"))
    assert Run(**told, gateway=gateway, local_origin=local_origin) == LOCAL_FAILURE


def test_values_go_as_they_are_and_texts_as_words() -> None:
    told = msgpack.unpackb(packing.batch(BATCH))
    assert Run(**told["run"]).plain() == LOCAL_FAILURE.plain()
    assert (told["workload"], told["by"], told["evidence"]) == ("pod%20a", "r%201", "0@r%201/id")
    assert Policy(**msgpack.unpackb(packing.policy(POLICY))) == POLICY
    assert msgpack.unpackb(packing.ejection(EJECTION))["probe_in_ms"] == NO_PROBE

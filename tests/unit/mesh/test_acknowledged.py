"""Warnings that are known, and are told no more: the annotation waypointd.io/acknowledged."""

from __future__ import annotations

import pytest

from tests.unit.mesh.mesh_rig import Object, loaded, rule, service, shop
from tests.unit.mesh.test_silence import OUTLIER, TO_GATEWAY, TO_SERVICE, policy, route

KNOWN = {"waypointd.io/acknowledged": "true"}


@pytest.mark.parametrize(
    "subject",
    [
        route(TO_SERVICE),
        rule(OUTLIER, "nosuch.shop"),
        rule({"loadBalancer": {"backendUtilization": {}}}),
        policy(targetRefs=[{**TO_GATEWAY, "name": "wb"}]),
        service("till", spec={"ports": [{"port": 53, "protocol": "UDP"}]}),
    ],
    ids=["route", "host", "field", "policy", "Service"],
)
def test_a_warning_that_is_known_is_told_no_more(subject: Object) -> None:
    before = loaded(*shop(subject))
    assert before.warnings and not before.acknowledged
    known = {**subject, "metadata": {**subject["metadata"], "annotations": KNOWN}}
    after = loaded(*shop(known, rule(OUTLIER, "other.shop", "b")))
    assert len(after.acknowledged) == len(before.warnings)
    assert len(after.warnings) == 1 and "other.shop" in after.warnings[0], "those of other objects are told"
    assert after.snapshot is not None and after.snapshot.warnings == after.warnings


@pytest.mark.parametrize("value", ["false", "", "yes"])
def test_only_true_acknowledges(value: str) -> None:
    one = rule(OUTLIER, "nosuch.shop", annotations={"waypointd.io/acknowledged": value})
    result = loaded(*shop(one))
    assert result.acknowledged == ()
    assert any('annotations[waypointd.io/acknowledged]: must be "true"' in each for each in result.warnings)


def test_a_fault_cannot_be_acknowledged() -> None:
    one = rule({"outlierDetection": {"interval": 1}}, annotations=KNOWN)
    assert len(loaded(*shop(one)).faults) == 1


def test_what_is_known_stays_so_beside_a_fault() -> None:
    known = rule({"loadBalancer": {"backendUtilization": {}}}, annotations=KNOWN)
    result = loaded(*shop(known, rule({"outlierDetection": {"interval": 1}}, name="b")))
    assert (len(result.faults), result.warnings, len(result.acknowledged)) == (1, (), 1)

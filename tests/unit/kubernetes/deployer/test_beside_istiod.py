"""Waypoints that istiod deploys as waypointd: which these are, and what they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from proxy.kubernetes.deployer.beside_istiod import is_deployed, shared, wish_of
from proxy.kubernetes.deployer.rights import rights_of
from tests.unit.kubernetes.deployer.wishes import MESH, SITE, wish

Object = dict[str, Any]


def gateway(annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    metadata = {"namespace": "shop", "name": "way", "uid": "u-1", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"gatewayClassName": "istio-waypoint", "listeners": [MESH], **spec}}


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([], True),
        ([{"value": "10.96.0.7"}], True),
        ([{"type": "IPAddress", "value": "10.96.0.7"}], True),
        ([{"type": "Hostname", "value": "way"}], False),
        ([{"value": "10.96.0.7"}, {"value": "10.96.0.8"}], False),
    ],
)
def test_a_gateway_that_names_a_service_of_its_own_is_not_istiods(addresses: Any, expected: bool) -> None:
    assert is_deployed(gateway(addresses=addresses)) is expected


@pytest.mark.parametrize(("annotations", "account"), [({}, "way"), ({"gateway.istio.io/service-account": "me"}, "me")])
def test_rights_are_for_the_account_that_istiod_gives_its_pods(annotations: dict[str, str], account: str) -> None:
    bindings = [each for each in rights_of(wish_of(gateway(annotations))) if "subjects" in each]
    assert len(bindings) == 3
    assert {subject["name"] for each in bindings for subject in each["subjects"]} == {account}


def test_what_redis_takes_is_there_as_long_as_one_of_them() -> None:
    wishes = [replace(wish(), name=name, uid=f"u-{name}") for name in ("b", "a")]
    (secret,) = shared("shop", wishes, SITE)
    assert [each["uid"] for each in secret["metadata"]["ownerReferences"]] == ["u-a", "u-b"]
    assert secret["data"] == SITE.redis_secret
    assert not list(shared("shop", wishes, replace(SITE, redis_secret={})))

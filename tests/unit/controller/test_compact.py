"""Endpoints as the controller keeps them: they read as the list that they were made of."""

import json

import msgpack

from proxy.admin.pages import as_json
from proxy.controller.compact import Endpoints
from proxy.ipc.snapshot import EndpointForm


def forms() -> list[EndpointForm]:
    common = {"workload": "w", "hbone": True, "identity": "ns/a/sa/b", "profile": -1, "weight": 1}
    return [EndpointForm(ip=f"10.0.0.{at}", port=8080, slot=at, **common) for at in range(3)]  # type: ignore[typeddict-item]


def test_they_are_what_they_were() -> None:
    made = Endpoints(forms())
    assert (len(made), list(made), made[1], made[:2]) == (3, forms(), forms()[1], forms()[:2])
    assert made == forms() == made and made == Endpoints(forms())
    other = [*forms()[:2], forms()[2] | {"weight": 2}]
    assert made not in (other, Endpoints(other), forms()[:2]) and {"a": made} == {"a": forms()}
    assert not Endpoints([]) and list(Endpoints([])) == []


def test_they_travel_and_are_shown_as_a_list() -> None:
    made = Endpoints(forms())
    assert msgpack.unpackb(msgpack.packb({"endpoints": made}, default=list)) == {"endpoints": forms()}
    assert json.loads(as_json({"endpoints": made, "octets": b"a\xff"})[2]) == {"endpoints": forms(), "octets": "a\\xff"}

"""One ServiceEntry behind one Gateway, for the tests of ServiceEntries."""

from __future__ import annotations

from typing import Any

from proxy.mesh.resolving.load import Loader
from tests.unit.mesh.mesh_rig import Object, documents, external, gateway, hbone, listener, namespace

BASE = (namespace(), gateway(listener(), hbone()))
HOST = "api.example.com"
NAME = f"shop/{HOST}:80"
TUNNEL = {"networking.istio.io/tunnel": "http"}
SELECTING: Object = {"workloadSelector": {"labels": {"app": "cart"}}}


def at(address: str, **more: Any) -> Object:
    return {"address": address, **more}


def port(number: int, name: str, protocol: str = "HTTP", **more: Any) -> Object:
    return {"number": number, "name": name, "protocol": protocol, **more}


def dns(**fields: Any) -> Object:
    return external(**{"resolution": "DNS", "endpoints": None, **fields})


def answered(*objects: Object, **answers: list[str]) -> tuple[list[str], Loader]:
    """The addresses of the cluster's endpoints after these answers about the host, `a.example` and `b.example`."""
    loader = Loader()
    loader.load(documents(*BASE, *objects))
    for name, found in answers.items():
        loader.answer(HOST if name == "host" else f"{name}.example", found)
    snapshot = loader.loaded().snapshot
    assert snapshot
    return [each.address for each in snapshot.clusters[NAME].endpoints], loader

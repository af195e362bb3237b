"""A mesh of Services with endpoints behind two listeners, HTTP and HBONE, and changes of it as resolving makes them:
what is the same as before is the same object."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from proxy.mesh import model

DOMAIN = ".svc.cluster.local"


def _governed() -> dict[str, Any]:
    """A rule, as the tree that is measured has it."""
    try:
        outlier, policy = import_module("proxy.mesh.traffic.outlier"), import_module("proxy.mesh.traffic.policy")
    except ModuleNotFoundError:
        return {"outlier": vars(model)["OutlierDetection"](3, 10_000, 30_000, 50)}
    return {"policy": policy.EffectivePolicy(outlier_detection=outlier.OutlierDetection(3, 10_000, 30_000, 50))}


GOVERNED = _governed()


@dataclass
class Mesh:
    """Clusters by name, and the names of each Service, which has one port."""

    clusters: dict[str, model.Cluster]
    names: dict[str, tuple[str, ...]]  # by Service


def mesh_of(options: argparse.Namespace) -> Mesh:
    """So many Services with so many endpoints each."""
    made = Mesh({}, {})
    for number in range(options.services):
        add_service(made, number, options.endpoints)
    return made


def add_service(mesh: Mesh, number: int, endpoints: int) -> None:
    """The Service of this number."""
    name, namespace = f"checkout-{number}", f"shop-{number % 40}"
    members = tuple(
        model.Endpoint(
            f"10.{number >> 8}.{number & 255}.{at + 1}",
            8080,
            f"{name}-7d8f9b6c54-{number:x}{at:x}",
            True,
            f"ns/{namespace}/sa/{name}",
        )
        for at in range(endpoints)
    )
    authority = f"{name}.{namespace}{DOMAIN}:80"
    cluster = f"{namespace}/{name}:80"
    envoy_name = f"inbound-vip|80|http|{name}.{namespace}{DOMAIN}"
    mesh.clusters[cluster] = model.Cluster(cluster, envoy_name, authority, members, **GOVERNED)
    host = f"{name}.{namespace}"
    mesh.names[f"{namespace}/{name}"] = (
        host,
        f"{host}.svc",
        f"{host}{DOMAIN}",
        f"{host}{DOMAIN}.",
        f"10.96.{number >> 8}.{number & 255}",
    )


def changes(mesh: Mesh, kind: str, options: argparse.Namespace) -> Iterator[Mesh]:
    """The mesh after each of `options.changes` changes: an `endpoint` leaves, or a `service` comes."""
    for turn in range(options.changes):
        mesh = Mesh(dict(mesh.clusters), mesh.names)
        if kind == "service":
            mesh.names = dict(mesh.names)
            add_service(mesh, options.services + turn, options.endpoints)
        else:
            name = list(mesh.clusters)[turn * 37 % options.services]
            before = mesh.clusters[name]
            mesh.clusters[name] = replace(before, endpoints=before.endpoints[1:])
        yield mesh


class Listeners:
    """Of the model. Made anew as little as may be: by Service here, as one table in the commits before."""

    def __init__(self) -> None:
        self._names: Any = None
        self._made: dict[str, dict[str, Any]] = {}
        self._listeners: dict[str, model.Listener] = {}

    def of(self, mesh: Mesh) -> dict[str, model.Listener]:
        """By protocol."""
        if mesh.names is not self._names:
            self._names = mesh.names
            self._listeners = {protocol: self._listener(mesh, protocol) for protocol in ("HTTP", "HBONE")}
        return self._listeners

    def _listener(self, mesh: Mesh, protocol: str) -> model.Listener:
        port = 15008 if protocol == "HBONE" else 80
        if "services" in model.Listener.__slots__:
            known = self._made.setdefault(protocol, {})
            for service, forms in mesh.names.items():
                if service not in known:
                    known[service] = {f"{service}:80": tuple(_selecting(forms, protocol))}
            return model.Listener(protocol.lower(), port, protocol, dict(known))
        table = {name: f"{service}:80" for service, forms in mesh.names.items() for name in _selecting(forms, protocol)}
        former: Any = model.Listener
        listener: model.Listener = former(protocol.lower(), port, protocol, table, tuple(mesh.clusters))
        return listener


def _selecting(forms: tuple[str, ...], protocol: str) -> Iterator[str]:
    for form in forms:
        yield f"{form}:80"
        if protocol == "HTTP":
            yield form

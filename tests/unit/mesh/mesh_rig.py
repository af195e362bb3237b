"""Builders for the tests of proxy.mesh: objects as plain values, and the demo manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.model import Cluster, Listener
from proxy.mesh.reading.documents import Documents
from proxy.mesh.reading.objects import Change, Objects
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.load import READERS, Document, Loaded, load

DEMO = Path(__file__).parents[3] / "conf" / "demo"
Object = dict[str, Any]
USE = "istio.io/use-waypoint"
USE_NS = "istio.io/use-waypoint-namespace"
CANARY = "istio.io/use-waypoint-canary"
CANARY_NS = "istio.io/use-waypoint-canary-namespace"


def demo_documents() -> list[Document]:
    return [Document(path.name, path.read_text()) for path in sorted(DEMO.glob("*.yaml"))]


def documents(*objects: Object) -> list[Document]:
    """One document per object, named after it."""
    return [
        Document(f"{each.get('kind')}-{index}.yaml", yaml.safe_dump(each, sort_keys=False))
        for index, each in enumerate(objects)
    ]


def loaded(*objects: Object, gateway: str | None = None) -> Loaded:
    return load(documents(*objects), gateway)


def inventory_of(*objects: Object) -> Inventory:
    """All objects, as the Gateway among them looks them up."""
    known = Objects()
    for path, placed in Documents(READERS).changes(documents(*objects)):
        known.put(path, placed)
    assert not known.faults()
    (door,) = known.of("Gateway")
    assert isinstance(door.value, Gateway)
    inventory = Inventory(door.value)
    for record in known.all():
        inventory.apply(Change(record.key, None, record))
    return inventory


def clusters(*objects: Object, gateway: str | None = None) -> dict[str, Cluster]:
    result = loaded(*objects, gateway=gateway)
    assert not result.faults, [str(fault) for fault in result.faults]
    assert result.snapshot, result.reason
    return dict(result.snapshot.clusters)


def routes(*objects: Object, listener: int = 0) -> dict[str, str]:
    result = loaded(*objects)
    assert result.snapshot, [str(fault) for fault in result.faults]
    return names_of(result.snapshot.listeners[listener])


def names_of(listener: Listener) -> dict[str, str]:
    """Every name that the listener answers to, and the cluster it selects."""
    return {
        name: cluster
        for clusters in listener.services.values()
        for cluster, names in clusters.items()
        for name in names
    }


def clusters_of(listener: Listener) -> tuple[str, ...]:
    """The clusters that it may reach."""
    return tuple(cluster for clusters in listener.services.values() for cluster in clusters)


def served(*objects: Object) -> list[str]:
    """The names of the clusters."""
    return sorted(clusters(*objects))


def warnings(*objects: Object) -> str:
    return "\n".join(loaded(*objects).warnings)


def faults(*objects: Object, gateway: str | None = None) -> list[str]:
    return [str(fault) for fault in loaded(*objects, gateway=gateway).faults]


def thing(kind: str, api: str, name: str, namespace: str = "shop", **fields: Any) -> Object:
    metadata: Object = {"name": name, "namespace": namespace}
    for key in ("labels", "annotations", "creationTimestamp"):
        if key in fields:
            metadata[key] = fields.pop(key)
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}


def namespace(name: str = "shop", labels: dict[str, str] | None = None) -> Object:
    chosen = {"istio.io/use-waypoint": "wp"} if labels is None else labels
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": chosen}}


def listener(name: str = "http", port: int = 80, protocol: str = "HTTP", **fields: Any) -> Object:
    return {"name": name, "port": port, "protocol": protocol, **fields}


def hbone(port: int = 15008, name: str = "mesh", **fields: Any) -> Object:
    return listener(name, port, "HBONE", **fields)


def gateway(*listeners: Object, name: str = "wp", ns: str = "shop", **fields: Any) -> Object:
    spec = {"gatewayClassName": "istio-waypoint", "listeners": list(listeners) or [listener()]}
    return thing("Gateway", "gateway.networking.k8s.io/v1", name, ns, spec=spec, **fields)


def service(
    name: str = "cart", ns: str = "shop", ports: Any = None, spec: Object | None = None, **fields: Any
) -> Object:
    chosen = [{"name": "http", "port": 80, "targetPort": 8080}] if ports is None else ports
    return thing("Service", "v1", name, ns, spec={"ports": chosen, **(spec or {})}, **fields)


def member(ip: str, workload: str = "", **conditions: Any) -> Object:
    entry: Object = {"addresses": [ip], "conditions": conditions}
    if workload:
        entry["targetRef"] = {"kind": "Pod", "name": workload}
    return entry


def pod(
    name: str, ip: str = "", account: str = "", ns: str = "shop", spec: Object | None = None, **fields: Any
) -> Object:
    chosen = {**({"serviceAccountName": account} if account else {}), **(spec or {})}
    return thing("Pod", "v1", name, ns, spec=chosen, **{"status": {"podIP": ip}, **fields})


def entry(name: str = "vm", ns: str = "shop", **fields: Any) -> Object:
    """A WorkloadEntry that the Service of `selecting` selects; `fields` not of the object are those of its spec."""
    mine: Object = {key: fields.pop(key) for key in ("annotations", "status", "own_labels") if key in fields}
    if "own_labels" in mine:
        mine["labels"] = mine.pop("own_labels")
    spec = {"address": "10.1.0.1", "labels": {"app": "cart"}, **fields}
    return thing("WorkloadEntry", "networking.istio.io/v1", name, ns, spec=spec, **mine)


def external(name: str = "api", ns: str = "shop", **fields: Any) -> Object:
    """A ServiceEntry with one endpoint and an address; `fields` not of the object are those of its spec."""
    mine: Object = {key: fields.pop(key) for key in ("annotations", "status", "labels") if key in fields}
    mine |= {"creationTimestamp": fields.pop("created")} if "created" in fields else {}
    spec: Object = {"hosts": ["api.example.com"], "addresses": ["240.0.0.1"]}
    spec |= {"ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "STATIC"}
    if "workloadSelector" not in fields:
        spec["endpoints"] = [{"address": "192.0.2.1"}]
    given = {key: value for key, value in {**spec, **fields}.items() if value is not None}
    return thing("ServiceEntry", "networking.istio.io/v1", name, ns, spec=given, **mine)


def selecting(ports: Any = None, **selector: str) -> Object:
    """The Service shop/cart, which selects app=cart unless told otherwise."""
    return service(ports=ports, spec={"selector": selector or {"app": "cart"}})


def endpoint_slice(
    *members: Object, name: str = "cart-1", of: str = "cart", ns: str = "shop", ports: Any = None, family: str = "IPv4"
) -> Object:
    return thing(
        "EndpointSlice",
        "discovery.k8s.io/v1",
        name,
        ns,
        labels={"kubernetes.io/service-name": of},
        addressType=family,
        ports=[{"name": "http", "port": 8080}] if ports is None else ports,
        endpoints=list(members) or [member(f"10.0.0.{last}", f"cart-{last}") for last in (1, 2, 3)],
    )


def rule(
    policy: Any = None,
    host: str = "cart",
    name: str = "rule",
    ns: str = "shop",
    spec: Object | None = None,
    **fields: Any,
) -> Object:
    chosen: Object = {"host": host, **({} if policy is None else {"trafficPolicy": policy}), **(spec or {})}
    return thing("DestinationRule", "networking.istio.io/v1", name, ns, spec=chosen, **fields)


def virtual(spec: Object, name: str = "virtual", ns: str = "shop", **fields: Any) -> Object:
    return thing("VirtualService", "networking.istio.io/v1", name, ns, spec=spec, **fields)


def shop(*more: Object) -> tuple[Object, ...]:
    """One Service with three endpoints behind one Gateway, and what is added."""
    return (namespace(), gateway(), service(), endpoint_slice(), *more)

"""Gateways: what is wrong with one, which one is ours, and the ports it opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from proxy.mesh.model import Fault
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import is_label
from proxy.mesh.reading.report import Report, shown
from proxy.mesh.reading.schema import At, filled, items, mapping, matching, one_of, port_number, struct, text

HTTP = "HTTP"
HBONE = "HBONE"
_PROXY = "istio.io/PROXY"
SERVED = frozenset({HTTP, HBONE})
"""The protocols of listeners that this version opens."""
WAYPOINT_FOR = "istio.io/waypoint-for"
TRAFFIC = ("service", "workload", "all", "none")

# One socket can speak one of these, so they cannot share a port with anything; HTTPS and TLS may, by name.
_ALONE = frozenset({HTTP, HBONE, _PROXY, "TCP"})


@dataclass(frozen=True, slots=True)
class Admission:
    """Which namespaces' Services a listener takes: `allowedRoutes.namespaces`."""

    scope: str = "Same"
    selector: Any = None

    def admits(self, namespace: str, labels: dict[str, str], gateway_namespace: str) -> bool:
        """Whether a Service of `namespace`, which has `labels`, may be served."""
        if self.scope == "Selector":
            # Every Namespace has this label in a cluster, written down or not.
            return _selected(self.selector or {}, {"kubernetes.io/metadata.name": namespace, **labels})
        return self.scope == "All" or (self.scope == "Same" and namespace == gateway_namespace)


@dataclass(frozen=True, slots=True)
class GatewayListener:
    name: str
    port: int
    protocol: str
    hostname: str
    admission: Admission
    index: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """A valid Gateway. `traffic` is what `istio.io/waypoint-for` says: "service", "workload", "all" or "none"."""

    manifest: Manifest
    class_name: str
    listeners: tuple[GatewayListener, ...]
    traffic: str

    @property
    def serves_services(self) -> bool:
        """Whether Services are served under their own addresses and names."""
        return self.traffic in ("service", "all")


def check(manifest: Manifest, report: Report) -> None:
    """Reports everything wrong with the Gateway."""
    at = At(manifest, report, ("spec",))
    spec = manifest.body.get("spec")
    if spec is None:
        at.fault("is required")
    else:
        _spec(at, spec)


def choose(gateways: Sequence[Manifest], wanted: str | None) -> tuple[Manifest | None, str, Fault | None]:
    """The Gateway to serve; else the reason why there is none, or the fault that leaves it open."""
    if wanted is not None:
        namespace, _, name = wanted.partition("/")
        if not (is_label(namespace) and name):
            return None, "", Fault("--gateway", 0, "", "", "", f"must be NAMESPACE/NAME, not {shown(wanted)}")
        found = next((gateway for gateway in gateways if gateway.id == wanted), None)
        return found, "" if found else f"no Gateway {wanted}", None
    # One that is given twice is a fault already.
    gateways = list({gateway.id: gateway for gateway in reversed(gateways)}.values())[::-1]
    if not gateways:
        return None, "no Gateway", None
    if len(gateways) == 1:
        return gateways[0], "", None
    names = ", ".join(f"{gateway.id} ({gateway.path}:{gateway.line})" for gateway in gateways)
    text_ = f"there are {len(gateways)} Gateways: {names}; choose one with --gateway NAMESPACE/NAME"
    first = gateways[0]
    return None, "", Fault(first.path, first.line, first.kind, first.id, "", text_)


def read(manifest: Manifest, classes: Sequence[Manifest]) -> Gateway:
    """The Gateway a manifest without faults holds. `classes`: the GatewayClasses, for their label."""
    spec: dict[str, Any] = manifest.spec
    class_name = spec["gatewayClassName"]
    class_labels = next((each.labels for each in classes if each.name == class_name), {})
    traffic = manifest.labels.get(WAYPOINT_FOR) or class_labels.get(WAYPOINT_FOR) or "service"
    return Gateway(
        manifest,
        class_name,
        tuple(_listener(entry, index) for index, entry in enumerate(spec["listeners"])),
        traffic,
    )


def _listeners_differ(at: At, spec: dict[str, Any]) -> None:
    listeners = spec["listeners"]
    if not listeners:
        at.down("listeners").fault("must hold a listener")
    for index, listener in enumerate(listeners):
        place = at.down("listeners", index)
        for earlier in listeners[:index]:
            if earlier["name"] == listener["name"]:
                place.down("name").fault(f"{shown(listener['name'])} is given twice")
            if _collide(earlier, listener):
                place.down("port").fault(f"{listener['port']} is taken by listener {shown(earlier['name'])}")


def _collide(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["port"] != other["port"] or (one["protocol"] == "UDP") != (other["protocol"] == "UDP"):
        return False
    if _ALONE & {one["protocol"], other["protocol"]} or one["protocol"] == "UDP":
        return True
    return bool((one.get("hostname") or "") == (other.get("hostname") or ""))


def _selector_given(at: At, namespaces: dict[str, Any]) -> None:
    if namespaces.get("from") == "Selector" and namespaces.get("selector") is None:
        at.down("selector").fault("is required when from is Selector")


def _values_given(at: At, expression: dict[str, Any]) -> None:
    needs = expression["operator"] in ("In", "NotIn")
    if needs != bool(expression.get("values")):
        at.down("values").fault(f"must {'' if needs else 'not '}be given with operator {expression['operator']}")


_expression = struct(
    {"key": filled, "operator": one_of("In", "NotIn", "Exists", "DoesNotExist"), "values": items(text)},
    required=("key", "operator"),
    rules=(_values_given,),
)
_namespaces = struct(
    {
        "from": one_of("All", "Same", "Selector", "None"),
        "selector": struct({"matchLabels": mapping(text), "matchExpressions": items(_expression)}),
    },
    rules=(_selector_given,),
    closed=False,
)
_spec = struct(
    {
        "gatewayClassName": filled,
        "listeners": items(
            struct(
                {
                    "name": matching(is_label, "a name of lower-case letters, digits and -"),
                    "port": port_number,
                    "protocol": filled,
                    "hostname": text,
                    "allowedRoutes": struct({"namespaces": _namespaces}, closed=False),
                },
                required=("name", "port", "protocol"),
                closed=False,
            )
        ),
    },
    required=("gatewayClassName", "listeners"),
    rules=(_listeners_differ,),
    closed=False,
)


def _listener(entry: dict[str, Any], index: int) -> GatewayListener:
    namespaces = (entry.get("allowedRoutes") or {}).get("namespaces") or {}
    admission = Admission(namespaces.get("from") or "Same", namespaces.get("selector"))
    hostname = entry.get("hostname") or ""
    return GatewayListener(entry["name"], entry["port"], entry["protocol"], hostname, admission, index)


def _selected(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression_holds(each, labels) for each in selector.get("matchExpressions") or [])


def _expression_holds(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key: str = expression["key"]
    operator: str = expression["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) is (operator == "Exists")
    # NotIn holds where the label is missing, as in Kubernetes.
    return (labels.get(key) in expression["values"]) is (operator == "In")

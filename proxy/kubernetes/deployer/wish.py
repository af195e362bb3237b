"""What is asked for: one Gateway of our class, as the API gives it, read as far as deploying needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from proxy.mesh.kinds.gateways import HTTPS, Admission, Expression, Selector, asks_grants
from proxy.mesh.kinds.listener_tls import TERMINATE, unserved

CLASS = "waypointd"
CONTROLLER = "waypointd.io/gateway-controller"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
GATEWAY_NAMESPACE = "waypointd.io/gateway-namespace"
"""On what is not in the Gateway's namespace, where no owner reference reaches: says whose it is."""
MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "waypointd-deployer"
GROUP = "gateway.networking.k8s.io"
_RESERVED = f"{GROUP}/"


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that somebody names."""

    group: str
    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener. `admission`: whose Services and routes it takes."""

    name: str
    port: int
    protocol: str
    hostname: str
    admission: Admission
    kinds: tuple[tuple[str, str], ...] | None
    """(group, kind) of the routes it asks for; None: it does not say."""
    certificates: tuple[Reference, ...] = ()
    unserved: str = ""
    """Why one of HTTPS is not opened as it asks for it, or ""."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A Gateway. `parameters`: what it refers to, if it does. `addresses`: (type, value)."""

    namespace: str
    name: str
    uid: str
    generation: int
    class_name: str
    listeners: tuple[Listener, ...]
    addresses: tuple[tuple[str, str], ...]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    parameters: Reference | None
    status: Mapping[str, Any]
    account: str
    """The ServiceAccount of its Pods."""
    asks_grants: bool = False
    """Whether routes of Services need ReferenceGrants, as those of the Gateway do."""

    @property
    def id(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def reaches_out(self) -> bool:
        """Whether a listener takes Services of other namespaces."""
        return any(each.admission.scope != "Same" for each in self.listeners)

    def own_labels(self) -> dict[str, str]:
        """What everything that is made for it is labelled with (GEP-1867: `spec.infrastructure` is for all of it)."""
        return {**self.labels, GATEWAY_NAME: self.name, GATEWAY_CLASS_NAME: self.class_name, MANAGED_BY: MANAGER}

    def owner(self) -> dict[str, Any]:
        """So that what is made goes with it."""
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "name": self.name,
            "uid": self.uid,
        }


def read(gateway: Mapping[str, Any]) -> Wish:
    """A Gateway that the API server has checked, so that its shape is right."""
    metadata, spec = gateway["metadata"], gateway["spec"]
    infrastructure = spec.get("infrastructure") or {}
    return Wish(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 1),
        class_name=spec["gatewayClassName"],
        listeners=tuple(_listener(each, metadata["namespace"], spec) for each in spec.get("listeners") or ()),
        addresses=tuple((each.get("type", "IPAddress"), each.get("value", "")) for each in spec.get("addresses") or ()),
        labels=_free(infrastructure.get("labels")),
        annotations=_free(infrastructure.get("annotations")),
        parameters=_parameters(infrastructure.get("parametersRef"), metadata["namespace"]),
        status=gateway.get("status") or {},
        account=metadata["name"],
        asks_grants=asks_grants(metadata.get("annotations") or {}),
    )


def parameters_of(gateway_class: Mapping[str, Any]) -> Reference | None:
    """What a class refers to for all Gateways of it."""
    given = gateway_class["spec"].get("parametersRef")
    return _parameters(given, given.get("namespace") or "") if given else None


def _parameters(given: Mapping[str, Any] | None, namespace: str) -> Reference | None:
    return Reference(given["group"], given["kind"], namespace, given["name"]) if given else None


def _listener(given: Mapping[str, Any], namespace: str, spec: Mapping[str, Any]) -> Listener:
    allowed = given.get("allowedRoutes") or {}
    asked = allowed.get("kinds")
    return Listener(
        name=given["name"],
        port=given["port"],
        protocol=given["protocol"],
        hostname=given.get("hostname") or "",
        admission=_admission(allowed.get("namespaces") or {}),
        kinds=tuple((each.get("group", GROUP), each["kind"]) for each in asked) if asked else None,
        certificates=tuple(
            Reference(
                each.get("group", ""), each.get("kind", "Secret"), each.get("namespace") or namespace, each["name"]
            )
            for each in (given.get("tls") or {}).get("certificateRefs") or ()
        ),
        unserved=_unserved(given, spec) if given["protocol"] == HTTPS else "",
    )


def _unserved(listener: Mapping[str, Any], spec: Mapping[str, Any]) -> str:
    tls, frontend = listener.get("tls") or {}, (spec.get("tls") or {}).get("frontend") or {}
    of_ports = {each["port"]: each.get("tls") for each in frontend.get("perPort") or ()}
    asked = of_ports.get(listener["port"], frontend.get("default")) or {}
    validates = bool(asked.get("validation") or tls.get("frontendValidation"))
    return unserved(tls.get("mode") or TERMINATE, bool(tls.get("certificateRefs")), validates)


def _admission(given: Mapping[str, Any]) -> Admission:
    return Admission(scope=given.get("from") or "Same", selector=_selector(given.get("selector") or {}))


def _selector(given: Mapping[str, Any]) -> Selector:
    expressions = tuple(
        Expression(key=each["key"], operator=each["operator"], values=tuple(each.get("values") or ()))
        for each in given.get("matchExpressions") or ()
    )
    return Selector(match_labels=given.get("matchLabels") or {}, match_expressions=expressions)


def _free(texts: Mapping[str, str] | None) -> dict[str, str]:
    """Without keys that are the API's own: those are not the user's to set."""
    return {key: value for key, value in (texts or {}).items() if not key.startswith(_RESERVED)}

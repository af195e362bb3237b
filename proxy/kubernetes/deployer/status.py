"""What the status of a Gateway and of our class says. Pure: what is there and what is asked for in, the status out.

Every condition carries the generation it is about (Gateway API: a condition of an older one says nothing), and the time
of its last change, which is kept while it says the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.kubernetes.deployer.wish import GROUP, Listener, Wish

Object = dict[str, Any]

SERVED = {
    "HTTP": (("HTTPRoute", GROUP), ("GRPCRoute", GROUP)),
    "HBONE": (),
    "HTTPS": (("HTTPRoute", GROUP), ("GRPCRoute", GROUP)),
}
"""Protocols of listeners, and the kinds of routes that may attach."""
ADDRESSES = ("IPAddress", "Hostname")
FEATURES = (
    *("GRPCRoute", "GRPCRouteNamedRouteRule", "Gateway", "GatewayAddressEmpty", "GatewayHTTPListenerIsolation"),
    *("GatewayHTTPSListenerDetectMisdirectedRequests",),
    *("GatewayInfrastructurePropagation", "GatewayPort8080", "GatewayStaticAddresses", "HTTPRoute"),
    *("HTTPRoute303RedirectStatusCode", "HTTPRoute307RedirectStatusCode", "HTTPRoute308RedirectStatusCode"),
    *("HTTPRouteBackendProtocolH2C", "HTTPRouteBackendProtocolWebSocket", "HTTPRouteBackendRequestHeaderModification"),
    *("HTTPRouteBackendTimeout", "HTTPRouteCORS", "HTTPRouteDestinationPortMatching", "HTTPRouteHostRewrite"),
    *("HTTPRouteMethodMatching", "HTTPRouteNamedRouteRule", "HTTPRouteParentRefPort", "HTTPRoutePathRedirect"),
    *("HTTPRoutePathRewrite", "HTTPRoutePortRedirect", "HTTPRouteQueryParamMatching", "HTTPRouteRequestMirror"),
    *("HTTPRouteRequestMultipleMirrors", "HTTPRouteRequestPercentageMirror", "HTTPRouteRequestTimeout"),
    *("HTTPRouteResponseHeaderModification", "HTTPRouteSchemeRedirect", "ReferenceGrant"),
)
"""What of the Gateway API is supported, by the names that its conformance suite has for it, sorted."""


@dataclass(frozen=True, slots=True)
class Condition:
    """As metav1.Condition has it, but for generation and time."""

    type: str
    holds: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Deployed:
    """What has come of it. `addresses`: the Service's; `ready`: Pods that are. `fault`: why it could not be made."""

    addresses: tuple[str, ...] = ()
    ready: int = 0
    fault: str = ""
    bad_parameters: str = ""
    unresolved: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """By listener: why its certificates cannot be used, as reason and message."""


def of_gateway(wish: Wish, deployed: Deployed, attached: Mapping[str, int], now: str) -> Object:
    """The status of a Gateway; `attached`: how many routes each listener has, `now`: RFC 3339."""
    listeners = [
        _of_listener(each, wish, attached.get(each.name, 0), deployed.unresolved.get(each.name), now)
        for each in wish.listeners
    ]
    conditions = _conditions(_of_whole(wish, deployed), wish, wish.status.get("conditions"), now)
    # Once said, it stays said: istiod takes a Gateway without addresses for none, and ztunnels send what is bound to it
    # straight to the Pods, past its policies. With one, and no Pod that is ready, they refuse.
    told = conditions[1]["status"] == "True" or wish.status.get("addresses")
    addresses = list(_addresses(wish, deployed)) if told else []
    return {"addresses": addresses, "conditions": conditions, "listeners": listeners}


def _addresses(wish: Wish, deployed: Deployed) -> Iterator[Object]:
    """All that there are; of those that were asked for, if any were, the ones that there are."""
    there = [{"type": "IPAddress", "value": each} for each in deployed.addresses]
    if there:
        there.append({"type": "Hostname", "value": _hostname(wish)})
    asked = [value for _, value in wish.addresses if value]
    yield from (each for each in there if not asked or each["value"] in asked)


def of_class(generation: int, bad_parameters: str, before: Sequence[Object] | None, now: str) -> Object:
    """The status of a GatewayClass of our controller; `bad_parameters`: why those it refers to are of no use."""
    said = Condition("Accepted", True, "Accepted", "waypoints of this class are deployed by waypointd-deployer")
    if bad_parameters:
        said = Condition("Accepted", False, "InvalidParameters", bad_parameters)
    return {
        "conditions": [as_object(said, generation, before, now)],
        "supportedFeatures": [{"name": each} for each in FEATURES],
    }


def _of_whole(wish: Wish, deployed: Deployed) -> Iterator[Condition]:
    if deployed.bad_parameters:
        yield Condition("Accepted", False, "InvalidParameters", deployed.bad_parameters)
        yield Condition("Programmed", False, "Invalid", deployed.bad_parameters)
    elif fault := refused(wish):
        yield Condition("Accepted", False, *fault)
        yield Condition("Programmed", False, "Invalid", fault[1])
    else:
        left_out = [each.name for each in wish.listeners if _unserved(each)]
        said = f"without the listener {left_out[0]}, which is not served" if left_out else ""
        yield Condition("Accepted", True, "ListenersNotValid" if left_out else "Accepted", said)
        reason, message = _unprogrammed(wish, deployed)
        pods = "1 Pod ready" if deployed.ready == 1 else f"{deployed.ready} Pods ready"
        yield Condition("Programmed", not reason, reason or "Programmed", message or pods)


def refused(wish: Wish) -> tuple[str, str] | None:
    """Why there is nothing to be made of a Gateway at all, as reason and message."""
    if odd := [kind for kind, _ in wish.addresses if kind not in ADDRESSES]:
        return "UnsupportedAddress", f"addresses of type {odd[0]} are not supported; leave spec.addresses out"
    bad = [why for each in wish.listeners if (why := _unserved(each))]
    if bad and len(bad) == len(wish.listeners):
        return "ListenersNotValid", f"no listener can be served: {bad[0][1]}"
    return None


def _unserved(listener: Listener) -> tuple[str, str] | None:
    """Why a listener is not served as it asks for it, as reason and message; None if it is."""
    if listener.protocol not in SERVED:
        return "UnsupportedProtocol", f"{listener.protocol} is not served; use HBONE, HTTP or HTTPS"
    return ("UnsupportedValue", listener.unserved) if listener.unserved else None


def unusable(wish: Wish) -> str:
    """Why the addresses that are asked for cannot be had, "" if they may be. There is one Service, with one of them."""
    asked = [value for _, value in wish.addresses if value]
    if len(asked) > 1:
        return "only one address can be asked for, or leave spec.addresses out"
    names = [value for kind, value in wish.addresses if kind == "Hostname" and value not in ("", _hostname(wish))]
    return f"{names[0]} is not the name of its Service, {_hostname(wish)}" if names else ""


def _unprogrammed(wish: Wish, deployed: Deployed) -> tuple[str, str]:
    if fault := unusable(wish):
        return "AddressNotUsable", fault
    if deployed.fault:
        # What the API server says of a Service whose address it cannot give, or not any more.
        return "AddressNotUsable" if "spec.clusterIP" in deployed.fault else "Invalid", deployed.fault
    if not deployed.addresses:
        return "AddressNotAssigned", "the Service has no address yet"
    if not deployed.ready:
        return "Pending", "no Pod of the waypoint is ready yet"
    return "", ""


def _hostname(wish: Wish) -> str:
    return f"{wish.name}.{wish.namespace}.svc.cluster.local"


def _of_listener(listener: Listener, wish: Wish, attached: int, unresolved: tuple[str, str] | None, now: str) -> Object:
    before: Object = next(
        (each for each in wish.status.get("listeners") or () if each.get("name") == listener.name), {}
    )
    supported, _ = supported_kinds(listener)
    said = list(_said_of(listener, unresolved))
    return {
        "name": listener.name,
        "attachedRoutes": attached,
        "supportedKinds": [{"group": group, "kind": kind} for kind, group in supported],
        "conditions": _conditions(iter(said), wish, before.get("conditions"), now),
    }


def _said_of(listener: Listener, unresolved: tuple[str, str] | None) -> Iterator[Condition]:
    unserved, why = _unserved(listener) or ("", "")
    yield Condition("Accepted", not unserved, unserved or "Accepted", why)
    yield Condition("Conflicted", False, "NoConflicts")
    _, unknown = supported_kinds(listener)
    if unknown and not unresolved:
        unresolved = "InvalidRouteKinds", f"{unknown[0][1]} cannot attach to a listener of protocol {listener.protocol}"
    reason, message = unresolved or ("ResolvedRefs", "")
    yield Condition("ResolvedRefs", not unresolved, reason, message)
    if unserved or unresolved:
        yield Condition("Programmed", False, "Invalid", why or message)
    else:
        yield Condition("Programmed", True, "Programmed")


def supported_kinds(listener: Listener) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The kinds of routes that may attach, as (kind, group), and those asked for that may not, as (group, kind)."""
    known = SERVED.get(listener.protocol, ())
    if listener.kinds is None:
        return list(known), []
    asked = [(kind, group) for group, kind in listener.kinds]
    return [each for each in asked if each in known], [
        (group, kind) for kind, group in asked if (kind, group) not in known
    ]


def _conditions(said: Iterator[Condition], wish: Wish, before: Sequence[Object] | None, now: str) -> list[Object]:
    return [as_object(each, wish.generation, before, now) for each in said]


def as_object(said: Condition, generation: int, before: Sequence[Object] | None, now: str) -> Object:
    """A condition of an object of this generation; `before`: those that it has."""
    status = "True" if said.holds else "False"
    former = next((each for each in before or () if each.get("type") == said.type), {})
    since = former.get("lastTransitionTime", now) if former.get("status") == status else now
    return {
        "type": said.type,
        "status": status,
        "reason": said.reason,
        "message": said.message,
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }

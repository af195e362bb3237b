"""Which fields of a trafficPolicy are in force in this version. This table is the only place that says so.

A row for each field, or for each mapping that is not looked into. When something comes into force, its row changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.reading.manifests import Body
from proxy.mesh.reading.schema import At
from proxy.mesh.traffic.security import CONNECT


@dataclass(frozen=True, slots=True)
class Row:
    """`done`: whether what a value asks for is what is done. `instead`: what is done for other values; `why`: why."""

    done: Callable[[object], bool]
    instead: str = ""
    why: str = "is not in force in this version"


def _not_yet(instead: str = "", *but: object) -> Row:
    return Row(lambda value: value in but, instead)


def _not_here(instead: str, *but: object) -> Row:
    """Nor will it be: Istio leaves it out at waypoints, too."""
    return Row(lambda value: value in but, instead, "does nothing at a waypoint, in Istio too")


def _by_connect(value: object) -> bool:
    """POST is not there."""
    return (value.get("protocol", CONNECT) if isinstance(value, Mapping) else value) != "POST"


IN_FORCE = Row(lambda value: True)
_TURNS = "ROUND_ROBIN is used"
_ALIKE = "all endpoints are balanced alike"

FIELDS: Mapping[str, Row] = {
    "loadBalancer.simple": IN_FORCE,
    "loadBalancer.consistentHash": IN_FORCE,
    "loadBalancer.backendUtilization": _not_yet(_TURNS),
    "loadBalancer.localityLbSetting.enabled": IN_FORCE,
    "loadBalancer.localityLbSetting.distribute": IN_FORCE,
    "loadBalancer.localityLbSetting.failover": IN_FORCE,
    "loadBalancer.localityLbSetting.failoverPriority": IN_FORCE,
    "loadBalancer.zoneAwareLbSetting.enabled": _not_here(_ALIKE, False),
    "loadBalancer.zoneAwareLbSetting.failover": _not_here(_ALIKE, []),
    "loadBalancer.zoneAwareLbSetting.failoverPriority": _not_here(_ALIKE, []),
    "loadBalancer.zoneAwareLbSetting.minClusterSize": _not_here(_ALIKE),
    "loadBalancer.warmup": IN_FORCE,
    "loadBalancer.warmupDurationSecs": IN_FORCE,
    "connectionPool.tcp.maxConnections": IN_FORCE,
    "connectionPool.tcp.connectTimeout": IN_FORCE,
    "connectionPool.tcp.maxConnectionDuration": IN_FORCE,
    "connectionPool.tcp.idleTimeout": IN_FORCE,
    "connectionPool.tcp.tcpKeepalive": IN_FORCE,
    "connectionPool.http.http1MaxPendingRequests": IN_FORCE,
    "connectionPool.http.http2MaxRequests": IN_FORCE,
    "connectionPool.http.maxRequestsPerConnection": IN_FORCE,
    "connectionPool.http.maxRetries": IN_FORCE,
    "connectionPool.http.idleTimeout": IN_FORCE,
    "connectionPool.http.h2UpgradePolicy": IN_FORCE,
    "connectionPool.http.useClientProtocol": IN_FORCE,
    "connectionPool.http.maxConcurrentStreams": IN_FORCE,
    "connectionPool.http.http2KeepAlive": IN_FORCE,
    "outlierDetection.consecutive5xxErrors": IN_FORCE,
    "outlierDetection.interval": IN_FORCE,
    "outlierDetection.baseEjectionTime": IN_FORCE,
    "outlierDetection.maxEjectionPercent": IN_FORCE,
    "outlierDetection.consecutiveGatewayErrors": IN_FORCE,
    "outlierDetection.splitExternalLocalOriginErrors": IN_FORCE,
    "outlierDetection.consecutiveLocalOriginFailures": IN_FORCE,
    "outlierDetection.minHealthPercent": IN_FORCE,
    "outlierDetection.outlierDetectionHttpErrorCodes": IN_FORCE,
    "tls.mode": IN_FORCE,
    "tls.clientCertificate": IN_FORCE,
    "tls.privateKey": IN_FORCE,
    "tls.caCertificates": IN_FORCE,
    "tls.caCrl": IN_FORCE,
    "tls.credentialName": IN_FORCE,
    "tls.subjectAltNames": IN_FORCE,
    "tls.sni": IN_FORCE,
    "tls.insecureSkipVerify": IN_FORCE,
    "tunnel": Row(_by_connect, "connections go to the endpoints themselves"),
    "proxyProtocol": IN_FORCE,
    "retryBudget.percent": IN_FORCE,
    "retryBudget.minRetryConcurrency": IN_FORCE,
    "retryBudget.budgetInterval": IN_FORCE,
}


def is_in_force(name: str, value: object) -> bool:
    """Whether a value of an effective policy is done; `name`: its member and what is in that. What is in a mapping that
    has one row goes with it."""
    row = FIELDS.get(name)
    while row is None and "." in name:
        name = name.rpartition(".")[0]
        row = FIELDS.get(name)
    return row is not None and row.done([*value] if isinstance(value, tuple) else value)


class Told(NamedTuple):
    """A field that is not in force: where it stands in the spec, what it asks for, and its row."""

    path: Path
    value: object
    row: Row

    def __str__(self) -> str:
        return " ".join(part for part in (path_text(self.path), self.asked, self.instead) if part)

    @property
    def asked(self) -> str:
        """The value, where it is one."""
        value = self.value
        return json.dumps(value).strip('"') if isinstance(value, str | int | float) else ""

    @property
    def instead(self) -> str:
        """What is done for it."""
        return f"({self.row.instead})" if self.row.instead else ""


def tell(at: At, spec: Body) -> None:
    """One warning, at the first field of a valid rule's `spec` that is not in force; it names the others."""
    tell_all(at, list(not_in_force(spec)))


def tell_all(at: At, found: Sequence[Told]) -> None:
    """The same of fields that are `found`, if there are any: one for each reason."""
    for why in dict.fromkeys(each.row.why for each in found):
        first, *others = (each for each in found if each.row.why == why)
        said = " ".join(part for part in (first.asked, why, first.instead) if part)
        one, more = ("is", "are") if why.startswith("is") else ("does", "do")
        nor = f"; nor {one if len(others) == 1 else more} {', '.join(map(str, others))}" if others else ""
        at.down(*first.path).warn(said + nor)


def not_in_force(spec: Body) -> Iterator[Told]:
    """All such fields, as they are written."""
    yield from _of_policy(spec, ())
    subsets = spec.get("subsets")
    for index, subset in enumerate(subsets if isinstance(subsets, list) else ()):
        yield from _of_policy(subset, ("subsets", index))


def _of_policy(given: Body, path: Path) -> Iterator[Told]:
    """Of what has a trafficPolicy."""
    policy = given.get("trafficPolicy")
    if isinstance(policy, dict):
        path = (*path, "trafficPolicy")
        yield from _of(policy, path)
        for index, entry in enumerate(policy.get("portLevelSettings") or ()):
            yield from _of(entry, (*path, "portLevelSettings", index))


def _of(given: Body, path: Path, above: str = "") -> Iterator[Told]:
    for step, value in given.items():
        name = f"{above}{step}"
        row = FIELDS.get(name)
        if row is None and isinstance(value, dict):
            yield from _of(value, (*path, step), f"{name}.")
        elif row is not None and value is not None and not row.done(value):
            yield Told((*path, step), value, row)

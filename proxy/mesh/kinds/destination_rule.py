"""One DestinationRule: what is wrong with it, and what it asks for.

Faults are what Istio's validation or the CRD's schema would refuse; warnings are what is accepted and does nothing,
here or there. Which rule applies to a Service is decided in `rules`. The fields are those of Istio's
networking/v1alpha3/destination_rule.proto.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.traffic_policy import OutlierSettings, PortSettings, TrafficSettings, traffic_policy
from proxy.mesh.model import DEFAULT_ABANDONED_MS, DEFAULT_CONNECT_TIMEOUT_MS, OutlierDetection
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import ACKNOWLEDGED, is_label, texts_of
from proxy.mesh.reading.records import optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, duration, fields, items, mapping, matching, spec, text, unenforced

OURS = "waypointd.io/"
ABANDONED_ANNOTATION = f"{OURS}abandoned-request-timeout"
RECOVERY_ANNOTATION = f"{OURS}recovery"
QUORUM_ANNOTATION = f"{OURS}local-origin-quorum"
_SETTINGS = (ABANDONED_ANNOTATION, RECOVERY_ANNOTATION, QUORUM_ANNOTATION)
ANNOTATIONS = (*_SETTINGS, ACKNOWLEDGED)
RECOVERIES = ("full", "probe")
_LARGEST_QUORUM = 32
EVERYWHERE = "*"

# Envoy's defaults, in force where the rule is silent.
DEFAULT_CONSECUTIVE_5XX = 5
DEFAULT_INTERVAL_MS = 10_000
DEFAULT_BASE_EJECTION_MS = 30_000
DEFAULT_MAX_EJECTION_PERCENT = 10

_HOST = re.compile(r"(\*|[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*", re.IGNORECASE)
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """What a policy asks for, of the things this version does. `path`: where it stands in the manifest."""

    path: Path = ()
    outlier: OutlierDetection | None = None
    connect_timeout_ms: int = DEFAULT_CONNECT_TIMEOUT_MS
    mesh_tls: bool = False
    """Whether it asks for the mesh's mutual TLS, which is what HBONE is."""


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """A valid rule. `host` is expanded and in lower case; `export_to` holds namespaces, or only "*"."""

    manifest: Manifest
    host: str
    export_to: frozenset[str]
    policy: TrafficPolicy | None
    ports: dict[int, TrafficPolicy] = field(default_factory=dict)
    abandoned_ms: int = DEFAULT_ABANDONED_MS
    selects_clients: bool = False

    def policy_for(self, port: int) -> TrafficPolicy:
        """The port's own policy, which replaces the rule's as a whole, else the rule's."""
        return self.ports.get(port) or self.policy or TrafficPolicy()


def read(manifest: Manifest, body: Body, report: Report) -> DestinationRule | None:
    """The rule; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec)
    notes = _annotations(At(manifest, report).down("metadata", "annotations"), texts_of(body, "annotations"))
    if found is None or notes is None:
        return None
    path: Path = ("spec", "trafficPolicy")
    policy = found.traffic_policy
    for each, where in _policies(policy, path):
        if each.outlier_detection and each.outlier_detection.consecutive_5xx_errors == 0:
            at = At(manifest, report).down(*where, "outlierDetection", "consecutive5xxErrors")
            at.warn("0 switches ejection off: no endpoint is ever ejected")
    ports: dict[int, TrafficPolicy] = {}
    for index, entry in enumerate(policy.port_level_settings if policy else ()):
        ports.setdefault(entry.port.number, _policy(entry, (*path, "portLevelSettings", index), notes))
    namespace = manifest.namespace
    return DestinationRule(
        manifest=manifest,
        host=expanded(found.host, namespace),
        export_to=frozenset(namespace if each == "." else each for each in found.export_to) or frozenset({EVERYWHERE}),
        policy=_policy(policy, path, notes) if policy else None,
        ports=ports,
        abandoned_ms=notes.abandoned_ms,
        selects_clients=found.workload_selector is not None,
    )


@dataclass(frozen=True, slots=True)
class _Notes:
    """What our own annotations ask for."""

    abandoned_ms: int
    probe: bool
    quorum: int


def _annotations(at: At, given: Mapping[str, str]) -> _Notes | None:
    before = at.faults
    for name in given:
        if name.startswith(OURS) and name not in ANNOTATIONS:
            at.down(name).warn(f"is not known, so it does nothing; there are {', '.join(ANNOTATIONS)}")
    abandoned, recovery, quorum = map(given.get, _SETTINGS)
    abandoned_ms = DEFAULT_ABANDONED_MS
    if abandoned is not None:
        abandoned_ms = 0 if abandoned == "off" else duration(at.down(ABANDONED_ANNOTATION), abandoned) or 0
    if recovery not in (None, *RECOVERIES):
        at.down(RECOVERY_ANNOTATION).fault(f"must be one of {', '.join(RECOVERIES)}, not {shown(recovery)}")
    if quorum is not None and not _good_quorum(quorum):
        said = f'must be a number of replicas from "1" to "{_LARGEST_QUORUM}", not {shown(quorum)}'
        at.down(QUORUM_ANNOTATION).fault(said)
    return _Notes(abandoned_ms, recovery == "probe", int(quorum or 1)) if at.faults == before else None


def _good_quorum(quorum: str) -> bool:
    return quorum.isascii() and quorum.isdigit() and len(quorum) < 10 and 1 <= int(quorum) <= _LARGEST_QUORUM


def expanded(host: str, namespace: str) -> str:
    """A bare name becomes the full name of a Service of the rule's namespace; one with a dot stays (Istio's rule)."""
    host = host.lower()
    return host if "." in host or "*" in host else f"{host}.{namespace}.{CLUSTER_DOMAIN}"


def _good_host(host: str) -> bool:
    return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None


_subset = fields(
    {
        "name": matching(is_label, "a name of lower-case letters, digits and -"),
        "labels": mapping(text),
        "trafficPolicy": traffic_policy,
    },
    required=("name",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    host: str = required(matching(_good_host, 'a host name ("*" only as the whole first label)'))
    export_to: tuple[str, ...] = optional(
        items(matching(lambda scope: scope in (".", EVERYWHERE) or is_label(scope), 'a namespace, "." or "*"')), ()
    )
    traffic_policy: TrafficSettings | None = optional(traffic_policy, None)
    subsets: tuple[Mapping[str, object], ...] = optional(
        unenforced(items(_subset), "nothing selects a subset", unless=([],)), ()
    )
    workload_selector: Mapping[str, object] | None = optional(
        unenforced(fields({"matchLabels": mapping(text)}), "the rule is ignored: it is for sidecars, in Istio too"),
        None,
    )


def _export_rules(at: At, found: _Spec) -> None:
    namespace = at.manifest.namespace
    meant = [namespace if scope == "." else scope for scope in found.export_to]
    for index, scope in enumerate(meant):
        if scope in meant[:index]:
            at.down("exportTo", index).fault(f"{shown(found.export_to[index])} is given twice")
    if EVERYWHERE in meant and len(set(meant)) > 1:
        at.down("exportTo").fault('"*" means all namespaces and must stand alone')
    if found.workload_selector is not None and any(scope != namespace for scope in meant):
        at.down("exportTo").fault("must be the rule's own namespace when workloadSelector is set")


def _subset_names(at: At, found: _Spec) -> None:
    names = [subset["name"] for subset in found.subsets]
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("subsets", index, "name").fault(f"{shown(name)} is given twice")


_spec = struct(_Spec, rules=(_export_rules, _subset_names))


def _policies(policy: TrafficSettings | None, path: Path) -> Iterator[tuple[TrafficSettings | PortSettings, Path]]:
    """The rule's policy and those of its ports, and where they stand."""
    if policy:
        yield policy, path
        for index, entry in enumerate(policy.port_level_settings):
            yield entry, (*path, "portLevelSettings", index)


def _policy(found: TrafficSettings | PortSettings, path: Path, notes: _Notes) -> TrafficPolicy:
    tcp = found.connection_pool.tcp if found.connection_pool else None
    timeout = tcp.connect_timeout if tcp else None
    mesh_tls = found.tls is not None and found.tls.get("mode") == "ISTIO_MUTUAL"
    outlier = _outlier(found.outlier_detection, notes)
    return TrafficPolicy(path, outlier, DEFAULT_CONNECT_TIMEOUT_MS if timeout is None else timeout, mesh_tls)


def _outlier(found: OutlierSettings | None, notes: _Notes) -> OutlierDetection | None:
    """None where nothing is ever ejected. An empty block is not that: it asks for the defaults."""
    if found is None or found.consecutive_5xx_errors == 0:
        return None
    return OutlierDetection(
        found.consecutive_5xx_errors or DEFAULT_CONSECUTIVE_5XX,
        found.interval or DEFAULT_INTERVAL_MS,
        found.base_ejection_time or DEFAULT_BASE_EJECTION_MS,
        # 0 cannot be told from unset in Istio's API either.
        found.max_ejection_percent or DEFAULT_MAX_EJECTION_PERCENT,
        notes.probe,
        notes.quorum,
    )

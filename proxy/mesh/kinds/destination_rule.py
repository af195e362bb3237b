"""One DestinationRule: what is wrong with it, and what it asks for.

Faults are what Istio's validation or the CRD's schema would refuse; warnings are what is accepted and does nothing,
here or there. Which rule applies to a Service is decided in `rules`. The fields are those of Istio's
networking/v1alpha3/destination_rule.proto.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from proxy.mesh.kinds.traffic_policy import traffic_policy
from proxy.mesh.model import DEFAULT_ABANDONED_MS, DEFAULT_CONNECT_TIMEOUT_MS, OutlierDetection
from proxy.mesh.reading.duration import milliseconds
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Manifest
from proxy.mesh.reading.metadata import is_label
from proxy.mesh.reading.report import Report, shown
from proxy.mesh.reading.schema import At, duration, items, mapping, matching, struct, text, unenforced

CLUSTER_DOMAIN = "svc.cluster.local"
OURS = "waypointd.io/"
ABANDONED_ANNOTATION = f"{OURS}abandoned-request-timeout"
RECOVERY_ANNOTATION = f"{OURS}recovery"
QUORUM_ANNOTATION = f"{OURS}local-origin-quorum"
ANNOTATIONS = (ABANDONED_ANNOTATION, RECOVERY_ANNOTATION, QUORUM_ANNOTATION)
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


def check(manifest: Manifest, report: Report) -> None:
    """Reports everything wrong with the rule."""
    at = At(manifest, report)
    spec = manifest.body.get("spec")
    if spec is None:
        at.down("spec").fault("is required")
    else:
        _spec(at.down("spec"), spec)
    _annotations(at.down("metadata", "annotations"), manifest.annotations)


def _annotations(at: At, given: dict[str, str]) -> None:
    for name in given:
        if name.startswith(OURS) and name not in ANNOTATIONS:
            at.down(name).warn(f"is not known, so it does nothing; there are {', '.join(ANNOTATIONS)}")
    abandoned, recovery, quorum = map(given.get, ANNOTATIONS)
    if abandoned not in (None, "off"):
        duration(at.down(ABANDONED_ANNOTATION), abandoned)
    if recovery not in (None, *RECOVERIES):
        at.down(RECOVERY_ANNOTATION).fault(f"must be one of {', '.join(RECOVERIES)}, not {shown(recovery)}")
    if quorum is not None and not (quorum.isascii() and quorum.isdigit() and 1 <= int(quorum) <= _LARGEST_QUORUM):
        text = f'must be a number of replicas from "1" to "{_LARGEST_QUORUM}", not {shown(quorum)}'
        at.down(QUORUM_ANNOTATION).fault(text)


def read(manifest: Manifest) -> DestinationRule:
    """The rule a manifest without faults holds."""
    spec = manifest.spec
    policy = _dict(spec.get("trafficPolicy"))
    path: Path = ("spec", "trafficPolicy")
    ports: dict[int, TrafficPolicy] = {}
    for index, entry in enumerate(_list(policy.get("portLevelSettings")) if policy else []):
        place = (*path, "portLevelSettings", index)
        ports.setdefault(entry["port"]["number"], _policy(entry, place, manifest.annotations))
    return DestinationRule(
        manifest=manifest,
        host=expanded(str(spec["host"]), manifest.namespace),
        export_to=_export_to(manifest),
        policy=None if policy is None else _policy(policy, path, manifest.annotations),
        ports=ports,
        abandoned_ms=_abandoned(manifest),
        selects_clients=spec.get("workloadSelector") is not None,
    )


def expanded(host: str, namespace: str) -> str:
    """A bare name becomes the full name of a Service of the rule's namespace; one with a dot stays (Istio's rule)."""
    host = host.lower()
    return host if "." in host or "*" in host else f"{host}.{namespace}.{CLUSTER_DOMAIN}"


def _good_host(host: str) -> bool:
    return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None


def _export_rules(at: At, spec: dict[str, object]) -> None:
    namespace, scopes = at.manifest.namespace, _list(spec.get("exportTo"))
    meant = [namespace if scope == "." else scope for scope in scopes]
    for index, scope in enumerate(meant):
        if scope in meant[:index]:
            at.down("exportTo", index).fault(f"{shown(scopes[index])} is given twice")
    if EVERYWHERE in meant and len(set(meant)) > 1:
        at.down("exportTo").fault('"*" means all namespaces and must stand alone')
    if spec.get("workloadSelector") is not None and any(scope != namespace for scope in meant):
        at.down("exportTo").fault("must be the rule's own namespace when workloadSelector is set")


def _subset_names(at: At, spec: dict[str, object]) -> None:
    names = [subset["name"] for subset in _list(spec.get("subsets"))]
    for index, name in enumerate(names):
        if name in names[:index]:
            at.down("subsets", index, "name").fault(f"{shown(name)} is given twice")


_subset = struct(
    {
        "name": matching(is_label, "a name of lower-case letters, digits and -"),
        "labels": mapping(text),
        "trafficPolicy": traffic_policy,
    },
    required=("name",),
)

_spec = struct(
    {
        "host": matching(_good_host, 'a host name ("*" only as the whole first label)'),
        "exportTo": items(
            matching(lambda scope: scope in (".", EVERYWHERE) or is_label(scope), 'a namespace, "." or "*"')
        ),
        "trafficPolicy": traffic_policy,
        "subsets": unenforced(items(_subset), "nothing selects a subset", unless=([],)),
        "workloadSelector": unenforced(
            struct({"matchLabels": mapping(text)}), "the rule is ignored: it is for sidecars, in Istio too"
        ),
    },
    required=("host",),
    rules=(_export_rules, _subset_names),
)


def _policy(policy: dict[str, object], path: Path, annotations: dict[str, str]) -> TrafficPolicy:
    pool = _dict(policy.get("connectionPool")) or {}
    timeout = (_dict(pool.get("tcp")) or {}).get("connectTimeout")
    return TrafficPolicy(
        path,
        _outlier(_dict(policy.get("outlierDetection")), annotations),
        DEFAULT_CONNECT_TIMEOUT_MS if timeout is None else milliseconds(timeout),
    )


def _outlier(outlier: dict[str, object] | None, annotations: dict[str, str]) -> OutlierDetection | None:
    """None where nothing is ever ejected. An empty block is not that: it asks for the defaults."""
    if outlier is None:
        return None
    consecutive = outlier.get("consecutive5xxErrors")
    if consecutive == 0:
        return None
    interval, base = outlier.get("interval"), outlier.get("baseEjectionTime")
    share = outlier.get("maxEjectionPercent")
    return OutlierDetection(
        consecutive if isinstance(consecutive, int) else DEFAULT_CONSECUTIVE_5XX,
        DEFAULT_INTERVAL_MS if interval is None else milliseconds(interval),
        DEFAULT_BASE_EJECTION_MS if base is None else milliseconds(base),
        # 0 cannot be told from unset in Istio's API either.
        share if isinstance(share, int) and share else DEFAULT_MAX_EJECTION_PERCENT,
        annotations.get(RECOVERY_ANNOTATION) == "probe",
        int(annotations.get(QUORUM_ANNOTATION, "1")),
    )


def _export_to(manifest: Manifest) -> frozenset[str]:
    scopes = _list(manifest.spec.get("exportTo"))
    return frozenset(manifest.namespace if scope == "." else scope for scope in scopes) or frozenset({EVERYWHERE})


def _abandoned(manifest: Manifest) -> int:
    value = manifest.annotations.get(ABANDONED_ANNOTATION)
    if value is None:
        return DEFAULT_ABANDONED_MS
    return 0 if value == "off" else milliseconds(value)


def _dict(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []

"""One DestinationRule: what is wrong with it, and what it asks for.

Faults are what Istio's validation or the CRD's schema would refuse; warnings are what is accepted and does nothing,
here or there. Which rule applies to a Service is decided in `resolving.rules`. The fields are those of Istio's
networking/v1alpha3/destination_rule.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from proxy.mesh.kinds import in_force, names
from proxy.mesh.kinds.addresses import CLUSTER_DOMAIN
from proxy.mesh.kinds.detectors import detector
from proxy.mesh.kinds.traffic_policy import traffic_policy
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.metadata import ACKNOWLEDGED, is_stored, texts_of
from proxy.mesh.reading.records import built, optional, required, struct
from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.report import Report
from proxy.mesh.reading.schema import At, duration, items, mapping, matching, spec, text
from proxy.mesh.traffic.outlier import FailurePercentage, SuccessRate
from proxy.mesh.traffic.policy import DEFAULT_ABANDONED_MS, Subset, TrafficPolicy
from proxy.mesh.traffic.scope import Scope

OURS = "waypointd.io/"
ABANDONED_ANNOTATION = f"{OURS}abandoned-request-timeout"
RECOVERY_ANNOTATION = f"{OURS}recovery"
QUORUM_ANNOTATION = f"{OURS}local-origin-quorum"
SUCCESS_RATE_ANNOTATION = f"{OURS}success-rate"
FAILURE_PERCENTAGE_ANNOTATION = f"{OURS}failure-percentage"
LIMITS_SCOPE_ANNOTATION = f"{OURS}limits-scope"
_SETTINGS = (
    ABANDONED_ANNOTATION,
    RECOVERY_ANNOTATION,
    QUORUM_ANNOTATION,
    SUCCESS_RATE_ANNOTATION,
    FAILURE_PERCENTAGE_ANNOTATION,
    LIMITS_SCOPE_ANNOTATION,
)
ANNOTATIONS = (*_SETTINGS, ACKNOWLEDGED)
RECOVERIES = ("full", "probe")
_LARGEST_QUORUM = 32
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Annotations:
    """What our own annotations ask for; what is said of them is in `given`."""

    abandoned_ms: int = DEFAULT_ABANDONED_MS
    probe: bool = False
    quorum: int = 1
    success_rate: SuccessRate | None = None
    failure_percentage: FailurePercentage | None = None
    limits_scope: Scope = Scope.REPLICA
    given: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """A valid rule. `host` is expanded and in lower case, `given_host` as it is written; `export_to` holds namespaces,
    or only "*". `said`: where the values of its policies stand, as far as it says any."""

    manifest: Manifest
    host: str
    given_host: str
    export_to: frozenset[str]
    policy: TrafficPolicy | None
    subsets: tuple[Subset, ...] = ()
    annotations: Annotations = Annotations()
    selects_clients: bool = False
    said: frozenset[Path] = frozenset()


def read(manifest: Manifest, body: Body, report: Report) -> DestinationRule | None:
    """The rule; None if there is something wrong with it."""
    found = spec(manifest, body, report, _spec, stored=is_stored(body))
    annotations = _annotations(At(manifest, report).down("metadata", "annotations"), texts_of(body, "annotations"))
    if found is None or annotations is None:
        return None
    written = body["spec"]
    assert isinstance(written, dict)
    if found.workload_selector is None:
        in_force.tell(At(manifest, report).down("spec"), written)
    namespace = manifest.namespace
    return DestinationRule(
        manifest=manifest,
        host=expanded(found.host, namespace),
        given_host=found.host,
        export_to=frozenset(namespace if each == "." else each for each in found.export_to) or frozenset({EVERYWHERE}),
        policy=found.policy,
        subsets=found.subsets,
        annotations=annotations,
        selects_clients=found.workload_selector is not None,
        said=frozenset(_said(written)),
    )


def _annotations(at: At, given: Mapping[str, str]) -> Annotations | None:
    before = at.faults
    for name in given:
        if name.startswith(OURS) and name not in ANNOTATIONS:
            at.down(name).warn(f"is not known, so it does nothing; there are {', '.join(ANNOTATIONS)}")
    abandoned, recovery, quorum, by_rate, by_percentage, scope = map(given.get, _SETTINGS)
    abandoned_ms = DEFAULT_ABANDONED_MS
    if abandoned is not None:
        abandoned_ms = 0 if abandoned == "off" else duration(at.down(ABANDONED_ANNOTATION), abandoned) or 0
    if recovery not in (None, *RECOVERIES):
        at.down(RECOVERY_ANNOTATION).fault(f"must be one of {', '.join(RECOVERIES)}, not {shown(recovery)}")
    if scope not in (None, *Scope):
        at.down(LIMITS_SCOPE_ANNOTATION).fault(f"must be one of {', '.join(Scope)}, not {shown(scope)}")
    if quorum is not None and not _good_quorum(quorum):
        said = f'must be a number of replicas from "1" to "{_LARGEST_QUORUM}", not {shown(quorum)}'
        at.down(QUORUM_ANNOTATION).fault(said)
    success_rate = detector(at.down(SUCCESS_RATE_ANNOTATION), by_rate, SuccessRate)
    failure_percentage = detector(at.down(FAILURE_PERCENTAGE_ANNOTATION), by_percentage, FailurePercentage)
    if at.faults != before:
        return None
    return Annotations(
        abandoned_ms=abandoned_ms,
        probe=recovery == "probe",
        quorum=int(quorum or 1),
        success_rate=success_rate,
        failure_percentage=failure_percentage,
        limits_scope=Scope(scope or Scope.REPLICA),
        given=frozenset(given) & {*_SETTINGS},
    )


def _good_quorum(quorum: str) -> bool:
    return quorum.isascii() and quorum.isdigit() and len(quorum) < 10 and 1 <= int(quorum) <= _LARGEST_QUORUM


def expanded(host: str, namespace: str) -> str:
    """A bare name becomes the full name of a Service of the rule's namespace; one with a dot stays (Istio's rule)."""
    host = host.lower()
    return host if "." in host or "*" in host else f"{host}.{namespace}.{CLUSTER_DOMAIN}"


def _selector(at: At, value: object) -> Mapping[str, str] | None:
    found = mapping(text)(at, value)
    for key, each in (found or {}).items():
        if not key or "*" in key + each:
            at.down(key).fault('must be a label and its value, without "*"')
    return found


_subset_name = matching(names.is_label, "a name of letters, digits and -")
_subset = built(Subset, {"name": _subset_name, "labels": names.labels, "trafficPolicy": traffic_policy})


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkloadSelector:
    match_labels: Mapping[str, str] = optional(_selector, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spec:
    host: str = required(names.host)
    export_to: tuple[str, ...] = optional(
        items(matching(lambda scope: scope in (".", EVERYWHERE) or names.is_label(scope), 'a namespace, "." or "*"')),
        (),
    )
    policy: TrafficPolicy | None = optional(traffic_policy, None, "trafficPolicy")
    subsets: tuple[Subset, ...] = optional(items(_subset), ())
    workload_selector: _WorkloadSelector | None = optional(struct(_WorkloadSelector), None)


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
    given = [subset.name for subset in found.subsets]
    for index, name in enumerate(given):
        if name in given[:index]:
            at.down("subsets", index, "name").fault(f"{shown(name)} is given twice")


def _for_sidecars(at: At, found: _Spec) -> None:
    selector = found.workload_selector
    if selector is not None:
        none = "" if selector.match_labels else " (and has no labels, by which it would select)"
        at.down("workloadSelector").warn(f"the rule is ignored: it is for sidecars, in Istio too{none}")


_spec = struct(_Spec, rules=(_export_rules, _subset_names, _for_sidecars))


def _said(written: Body) -> Iterator[Path]:
    """Where each value of the policies stands, lists as one."""
    path: Path = ("spec",)
    yield from _leaves(written.get("trafficPolicy"), (*path, "trafficPolicy"))
    subsets = written.get("subsets")
    for index, subset in enumerate(subsets if isinstance(subsets, list) else ()):
        yield from _leaves(subset.get("trafficPolicy"), (*path, "subsets", index, "trafficPolicy"))


def _leaves(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, list) and path[-1] == "portLevelSettings":
        for index, entry in enumerate(value):
            yield from _leaves(entry, (*path, index))
    elif isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif value is not None:
        yield path

"""Why an endpoint is ejected, or is not: facts and arithmetic, for people.

Pure. What Redis shows (`Seen`, the rule, the stream) becomes a report whose fields are numbers and words, fit for JSON;
`proxy/ctl/explain.py` puts it into sentences. The rules are those of `decide`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from state.constants import MAX_EJECTION_MS
from state.operating.history import Entry, evidence_of
from state.operating.rule import Rule
from state.operating.sight import Seen
from state.outlier.decide import next_backoff, under_cap
from state.outlier.rates import FAILURE_PERCENTAGE, SUCCESS_RATE
from state.outlier.store import Policy

ENTRIES = 5  # so many of the newest entries of an endpoint are shown


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What the fleet knows of one endpoint. Times in seconds."""

    ejected: bool
    left_s: float | None  # None: until somebody puts it back
    probe_in_s: float | None
    prober: str  # whose turn it is to try it, "" nobody's
    why: str
    by: str
    ejection_s: float | None
    failures: int  # the run now
    local_failures: int  # of these, the ones of local origin
    run_age_s: float | None
    reporters: tuple[str, ...]
    local_reporters: tuple[str, ...]
    last_status: int
    evidence: tuple[str, ...]
    generation: int
    ejections: int
    overflows: int
    next_backoff: int | None  # of an ejection now, or soon after the present one
    next_ejection_s: float | None
    room: bool  # under the cap, for this endpoint
    entries: tuple[Entry, ...]  # newest first
    names: tuple[str, ...] = ()  # what replicas call its workload, while they do not agree
    absent: bool = False  # no replica has it in the cluster, so the cap leaves it out
    gateway_failures: int = 0  # at the end of the run in a row: gateway errors, ...
    local_origin_failures: int = 0  # ... and connections that were not made


@dataclass(frozen=True, slots=True)
class HereFacts:
    """What one replica's scoreboard shows of an endpoint."""

    ejected: bool
    left_s: float | None
    only_here: bool  # by this replica's own decision, which the fleet does not know
    private: bool  # and will not be told: the replica does not trust its own network, or is alone to see the failures
    failures: int
    generation: int
    cause: str = ""  # of these failures, or of those that led to its own ejection: words, separated by commas


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One endpoint. `fleet` None: Redis could not be asked; `here` None: no replica was."""

    endpoint: str
    workload: str
    fleet: FleetFacts | None
    here: HereFacts | None = None


@dataclass(frozen=True, slots=True)
class Replica:
    """The replica that was asked."""

    name: str
    mode: str  # "shared": Redis decides; "local": this replica by itself
    since_s: float  # how long it has been so
    why: str
    suspects_itself: bool
    rule: str  # that it goes by


@dataclass(frozen=True, slots=True)
class ClusterReport:
    """One cluster, and what was asked of its endpoints."""

    cluster: str
    rule: str  # as replicas tell it, "" when none has lately
    destination_rule: str
    rule_age_s: float | None
    threshold: int  # 0 with no rule
    quorum: int
    probe: bool
    base_ejection_s: float
    max_ejection_percent: int
    endpoints: int
    ejected: int
    listening: int | None  # replicas; None when Redis could not be asked
    fault: str  # why Redis could not be asked
    reports: tuple[EndpointReport, ...]
    replica: Replica | None = None
    gateway_threshold: int = 0  # 0: these are not counted
    local_origin_threshold: int = 0  # 0: they count as 5xx do

    @property
    def ejects(self) -> bool:
        """Whether the rule ever ejects anything."""
        by_rate = any(f" {name}=" in f" {self.rule}" for name in (SUCCESS_RATE, FAILURE_PERCENTAGE))
        return by_rate or max(self.threshold, self.gateway_threshold, self.local_origin_threshold) > 0


def cluster_report(
    cluster: str, rule: Rule, rule_age_s: float | None, listening: int | None, ejected: int, fault: str = ""
) -> ClusterReport:
    """A report without its endpoints."""
    policy = rule.policy or Policy(0, 0, 0, 0, 0)
    return ClusterReport(
        cluster=cluster,
        rule=rule.text,
        destination_rule=rule.destination_rule,
        rule_age_s=rule_age_s,
        threshold=policy.consecutive_5xx,
        quorum=policy.local_origin_quorum,
        probe=policy.probe,
        base_ejection_s=policy.base_ejection_ms / 1000,
        max_ejection_percent=policy.max_ejection_percent,
        endpoints=policy.endpoints,
        ejected=ejected,
        listening=listening,
        fault=fault,
        reports=(),
        gateway_threshold=policy.consecutive_gateway_failure,
        local_origin_threshold=policy.consecutive_local_origin_failure if policy.split_local_origin else 0,
    )


def report(seen: Seen, workload: str, policy: Policy | None, ejected: int, entries: Sequence[Entry]) -> EndpointReport:
    """What the fleet knows of one endpoint of a cluster of which so many are `ejected`."""
    out = seen.ejected
    run_since_ms, probe_in_ms = seen.number("run_since_ms"), seen.probe_in_ms
    backoff = next_backoff(seen.record(), policy, seen.now_ms) if policy else None
    facts = FleetFacts(
        ejected=out,
        left_s=seen.left_s if out else 0,
        probe_in_s=None if probe_in_ms is None else probe_in_ms / 1000,
        prober=seen.word("prober") if seen.number("probe_until_ms") > seen.now_ms else "",
        why=seen.why if out else "",
        by=seen.by if out else "",
        ejection_s=seen.number("ejection_ms") / 1000 if out and seen.left_s is not None else None,
        failures=0 if out else seen.number("failures"),
        local_failures=0 if out else seen.number("local_failures"),
        run_age_s=(seen.now_ms - run_since_ms) / 1000 if run_since_ms and not out else None,
        reporters=seen.names("reporters"),
        local_reporters=seen.names("local_reporters"),
        last_status=seen.number("last_status"),
        evidence=evidence_of(seen.fields.get("evidence", "")),
        generation=seen.number("generation"),
        ejections=seen.number("ejections"),
        overflows=seen.number("overflows"),
        next_backoff=backoff,
        next_ejection_s=_ejection_ms(backoff, policy) / 1000 if policy and backoff else None,
        room=bool(policy and under_cap(policy, ejected - (out and not seen.absent))),
        entries=tuple(entries[:ENTRIES]),
        names=seen.names("names"),
        absent=seen.absent,
        gateway_failures=0 if out else seen.number("gateway_failures"),
        local_origin_failures=0 if out else seen.number("local_origin_failures"),
    )
    return EndpointReport(seen.endpoint, workload or seen.workload, facts)


def _ejection_ms(backoff: int, policy: Policy) -> int:
    return min(policy.base_ejection_ms * backoff, max(MAX_EJECTION_MS, policy.base_ejection_ms))


def beyond(ejected: int, policy: Policy | None) -> bool:
    """Whether so many endpoints out are more than the cap allows; only hands can have done that."""
    return bool(policy and ejected and not under_cap(policy, ejected - 1))


def cap(ejected: int, endpoints: int, percent: int, *, this_one: bool) -> str:
    """The arithmetic of maxEjectionPercent, written out. `this_one`: it is among those that are ejected."""
    if not endpoints:
        return "the rule was told by a replica that has no endpoints"
    if this_one:
        allowed = min(100, percent) * endpoints // 100
        return f"{ejected} of {endpoints} ejected, this one too; {percent} % of {endpoints} allows {allowed}"
    more, fits = ejected + 1, 100 * (ejected + 1) <= min(100, percent) * endpoints
    share, sign = _share(more, endpoints, percent), "<=" if fits else ">"
    effect = "an endpoint reaching the threshold " + ("is ejected" if fits else "would overflow")
    one_more = f"one more would be {more} of {endpoints} = {share} % {sign} {percent} %"
    return f"{ejected} of {endpoints} ejected; {one_more}: {effect}"


def _share(part: int, whole: int, other: int) -> str:
    """In per cent, and exact enough to be told from `other`."""
    rounded = round(100 * part / whole)
    return f"{100 * part / whole:.2f}" if rounded == other and 100 * part != other * whole else str(rounded)


def with_replica(found: ClusterReport, replica: Replica, here: dict[str, HereFacts]) -> ClusterReport:
    """The report with what one replica says."""
    reports = tuple(replace(each, here=here.get(each.endpoint)) for each in found.reports)
    return replace(found, replica=replica, reports=reports)


def as_json(found: ClusterReport) -> dict[str, Any]:
    """As dictionaries and lists."""
    return asdict(found)


def from_json(value: dict[str, Any]) -> ClusterReport:
    """What `as_json` made. Raises KeyError, TypeError for what it did not."""
    reports = tuple(_report_from(each) for each in value["reports"])
    replica = Replica(**value["replica"]) if value["replica"] else None
    return ClusterReport(**value | {"reports": reports, "replica": replica})


def _report_from(value: dict[str, Any]) -> EndpointReport:
    fleet, here = value["fleet"], value["here"]
    entries = tuple(Entry(**each) for each in fleet["entries"]) if fleet else ()
    facts = FleetFacts(**fleet | {"entries": entries}) if fleet else None
    return EndpointReport(value["endpoint"], value["workload"], facts, HereFacts(**here) if here else None)

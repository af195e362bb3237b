"""`waypointctl explain`: why an endpoint is ejected, or is not. Changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import click

from proxy.ctl.admin_source import AdminSource
from proxy.ctl.explain_route import tell_route
from proxy.ctl.history import sentence
from proxy.ctl.picks import picks_text
from proxy.ctl.source import Place, asked
from proxy.ctl.words import columns, moment, number, printable, span
from state.operating.explain import ClusterReport, EndpointReport, FleetFacts, HereFacts, as_json, cap
from state.operating.history import shown
from state.operating.viewer import Refused

# Longer is no time that somebody has set.
ENDLESS_S = 315_360_000
SEEN = 6  # failures shown


class _OrRoute(click.Command):
    """What stands behind `route` is for the command of that name: no cluster is called so."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args[:1] == [tell_route.name]:
            return tell_route.make_context(f"{info_name} route", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command("explain", cls=_OrRoute)
@click.argument("cluster")
@click.argument("endpoint", default="")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
@click.pass_obj
def tell_why(place: Place, cluster: str, endpoint: str, output: str) -> None:
    """Say why ENDPOINT (IP:PORT, or the name of its Pod) of CLUSTER is ejected, or is not; without it, each of the
    cluster's in short.

    Redis tells what the fleet knows. With --admin the replica adds what it sees itself: whether it decides by itself
    at the moment, suspects its own network, or has endpoints out that only it cannot reach; why it picks endpoints, or
    does not; and of a cluster the policy that is in force, with the rule that each value comes from.

    \b
    Examples:
      waypointctl explain httpbin/in-ambient:8000 10.10.0.16:8080
      waypointctl explain httpbin/in-ambient:8000
      waypointctl --admin http://127.0.0.1:15000 explain httpbin/in-ambient:8000 -o json
      waypointctl explain route --help
    """
    policy, picks, found, fault = None, None, None, ""
    with asked(place) as source:
        if isinstance(source, AdminSource):
            policy = None if endpoint else source.policy(cluster)
            picks = source.picks(cluster)
        try:
            found = source.explain(cluster, endpoint)
        except Refused as refusal:
            if policy is None:
                raise
            fault = _unknown(policy, str(refusal))
    if output == "json":
        more = {name: value for name, value in (("policy", policy), ("picks", picks)) if value}
        print(json.dumps({**(as_json(found) if found else {}), **more}, indent=2))
    else:
        said = text(found, short=not endpoint) if found else fault
        shown = picks_text(picks, endpoint) if picks else ""
        print("\n\n".join(part for part in (in_force(policy), shown, said) if part))


def _unknown(policy: dict[str, Any], fault: str) -> str:
    """The replica serves it, and the fleet knows nothing: of one that never ejects, or whose rule was not told yet."""
    return (
        f"the fleet has not heard of it yet ({fault})" if policy["ejects"] else "never ejects: the fleet knows nothing"
    )


def in_force(policy: dict[str, Any] | None) -> str:
    """The policy of a cluster value by value: what it is, and which rule says it, where."""
    if policy is None:
        return ""
    head = f"policy of DestinationRule {policy['rule']}" if policy["rule"] else "policy: no DestinationRule"
    rows = [(f"  {each['field']}", printable(each["value"]), printable(_origin(each))) for each in policy["values"]]
    spread = [printable(f"  {line}") for line in policy.get("spread", ())]
    names = [(f"  {name}", printable(_answered(each))) for name, each in policy.get("names", {}).items()]
    asked = ["names, as DNS has answered", *columns(names)] if names else []
    return "\n".join([printable(head), *(columns(rows) if rows else []), *spread, *asked])


def _answered(name: dict[str, Any]) -> str:
    """Of a host name: its addresses, and what is wrong."""
    known = ", ".join(name["addresses"]) or "no address yet, so requests get 503"
    again = "" if name["asked_again_s"] is None else f"; asked again in {span(name['asked_again_s'])}"
    return f"{known}{again}" + (f"; {name['error']}, {number(name['failures'], 'time')}" if name["error"] else "")


def _origin(value: dict[str, Any]) -> str:
    said = f"{value['rule']} {value['path']}" if value["rule"] else "default"
    return said if value["in_force"] else f"{said}, not in force in this version"


def text(found: ClusterReport, *, short: bool) -> str:
    """The report in sentences."""
    parts = [_paragraph(f"cluster {found.cluster}", _cluster(found))]
    for report in found.reports:
        name = f"{report.endpoint} ({report.workload})" if report.workload else report.endpoint
        rows = _short(found, report) if short else _long(found, report)
        parts.append(_paragraph(f"{name} {_state(report)}", rows))
    return "\n\n".join(parts)


def _paragraph(head: str, rows: Iterator[tuple[str, str]]) -> str:
    return "\n".join([printable(head), *columns(("  " + name, printable(said)) for name, said in rows)])


def _cluster(found: ClusterReport) -> Iterator[tuple[str, str]]:
    if found.rule:
        age = "" if found.rule_age_s is None else f", told {span(found.rule_age_s)} ago"
        nobody = "; in force nowhere: no replica listens" if found.listening == 0 else ""
        yield "rule", f"{found.rule} (DestinationRule {found.destination_rule or 'not known'}{age}{nobody})"
    elif not found.fault:
        yield "rule", "no replica has told of any for a week: is the cluster served, with outlierDetection?"
    if found.fault:
        yield "fleet", f"not known: {found.fault}"
    if found.listening is not None:
        listen = "listens" if found.listening == 1 else "listen"
        yield "fleet", f"{number(found.listening, 'replica')} {listen}; {found.ejected} of {found.endpoints} ejected"
    if replica := found.replica:
        since = f"for {span(replica.since_s)}"
        mode = "decides with the fleet" if replica.mode == "shared" else "decides by itself"
        why = f": {replica.why}" if replica.why else ""
        trust = "suspects its own network, and tells nobody what it cannot reach"
        yield "replica", f"{replica.name} {mode} {since}{why}" + (f"; it {trust}" if replica.suspects_itself else "")
        if replica.rule and replica.rule != found.rule:
            yield "", f"its rule: {replica.rule}"


def _state(report: EndpointReport) -> str:
    facts, here = report.fleet, report.here
    if facts is None:
        return "is ejected here" if here and here.ejected else "takes traffic here"
    if not facts.ejected:
        alone = here and here.ejected
        return "takes traffic, but not of this replica" if alone else "takes traffic"
    if facts.probe_in_s is not None:
        turn = f", {facts.prober} has the turn" if facts.prober else ""
        due = f"it may be probed in {span(facts.probe_in_s)}" if facts.probe_in_s > 0 else f"it awaits a probe{turn}"
        return f"is ejected; {due}"
    return f"is ejected, {_left(facts)}" + ("; no replica has it in the cluster" if facts.absent else "")


def _left(facts: FleetFacts) -> str:
    if facts.left_s is None:
        return "until somebody unejects it"
    whole = f" of {span(facts.ejection_s)}" if facts.ejection_s and facts.ejection_s < ENDLESS_S else ""
    return f"{span(facts.left_s)}{whole} left"


def _short(found: ClusterReport, report: EndpointReport) -> Iterator[tuple[str, str]]:
    """One or two lines."""
    if facts := report.fleet:
        yield ("why", f"{facts.why}, by {facts.by}") if facts.ejected else ("run", _run(found, facts))
    yield from _here(report.here)


def _long(found: ClusterReport, report: EndpointReport) -> Iterator[tuple[str, str]]:
    if facts := report.fleet:
        if facts.ejected:
            yield "why", f"{facts.why}, by {facts.by}"
        else:
            yield "run", _run(found, facts)
            yield from _rows(found, facts)
        if facts.names:
            yield "workload", f"replicas do not agree: {', '.join(facts.names)}; failures are counted by address"
        if facts.evidence:
            yield "failures", "the last ones (cause@replica/request id): " + shown(facts.evidence[-SEEN:])
        elif facts.last_status:
            yield "failures", f"last status {facts.last_status}"
        if found.ejects:
            counts = facts.ejected and not facts.absent
            yield "cap", cap(found.ejected, found.endpoints, found.max_ejection_percent, this_one=counts)
            yield "backoff", _backoff(found, facts)
            yield from _quorum(found, facts)
            yield "recovery", _recovery(found)
        if facts.overflows:
            yield "overflows", f"{number(facts.overflows, 'time')} the cap has kept it in"
    yield from _here(report.here)
    for at, entry in enumerate(report.fleet.entries if report.fleet else ()):
        yield "" if at else "history", f"{moment(entry.time_ms)} {entry.kind}: {sentence(entry)}"


def _run(found: ClusterReport, facts: FleetFacts) -> str:
    """2 of 3 consecutive failures since 1.2 s, seen by a, b"""
    if not facts.failures:
        of = f"; {found.threshold} in a row eject" if found.threshold and found.listening != 0 else ""
        return f"no failures since the last success{of}"
    of = f" of {found.threshold}" if found.threshold else ""
    since = "" if facts.run_age_s is None else f" since {span(facts.run_age_s)}"
    return f"{facts.failures}{of} consecutive failures{since}, seen by {', '.join(facts.reporters) or 'nobody named'}"


def _rows(found: ClusterReport, facts: FleetFacts) -> Iterator[tuple[str, str]]:
    """What else is counted in a row."""
    if found.gateway_threshold:
        yield "gateway", f"{facts.gateway_failures} of {found.gateway_threshold} gateway errors in a row"
    if found.local_origin_threshold:
        outside = f"; the run counts {facts.failures - facts.local_failures} without those of local origin"
        yield "origin", f"{facts.local_origin_failures} of {found.local_origin_threshold} connections not made{outside}"


def _backoff(found: ClusterReport, facts: FleetFacts) -> str:
    when = "one soon after this would last" if facts.ejected else "an ejection now would last"
    so_far = f"ejected {number(facts.ejections, 'time')} so far" if facts.ejections else "never ejected"
    if facts.next_ejection_s is None:
        return so_far
    product = f"baseEjectionTime {found.base_ejection_s:g} s x {facts.next_backoff}"
    return f"{so_far}; {when} {facts.next_ejection_s:g} s ({product}, at most 300 s or the base)"


def _quorum(found: ClusterReport, facts: FleetFacts) -> Iterator[tuple[str, str]]:
    if found.quorum > 1:
        seen = f"{number(len(facts.local_reporters), 'replica')} of {found.quorum}"
        yield "quorum", f"{facts.local_failures} failures of the run are of local origin (no answer), seen by {seen}"


def _recovery(found: ClusterReport) -> str:
    return "by one request that succeeds (probe)" if found.probe else "full, when the time is over"


def _here(here: HereFacts | None) -> Iterator[tuple[str, str]]:
    """What the replica that was asked sees otherwise."""
    if here is None:
        return
    why = f": {here.cause}" if here.cause else ""
    if here.private:
        yield "here", f"ejected for this replica only, which cannot reach it (unreachable_from_here){why}"
    elif here.only_here:
        yield "here", f"ejected by this replica's own decision, which the fleet does not know (yet){why}"
    elif here.ejected:
        yield "here", "ejected in this replica too" if here.left_s is None else f"ejected, {span(here.left_s)} left"
    if here.failures:
        yield "here", f"{number(here.failures, 'failure')} in a row seen by this replica{why}"

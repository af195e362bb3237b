"""DestinationRules that are for what is served, and that no cluster got: one warning each, with the rule that it got.

Istio's look-up (`rules`) is right without them; that they do nothing is what their authors do not see.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.mesh.kinds.destination_rule import DestinationRule
from proxy.mesh.kinds.gateways import Gateway
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE
from proxy.mesh.reading.report import Report
from proxy.mesh.resolving.inventory import Inventory
from proxy.mesh.resolving.outcome import Outcome
from proxy.mesh.resolving.rules import covers


def overruled(inventory: Inventory, gateway: Gateway, served: Mapping[str, Outcome], report: Report) -> None:
    """`served`: the Services of the Gateway, and those that routes lead to, with what has come of them."""
    in_force = {cluster.destination_rule for each in served.values() for cluster in each.clusters.values()}
    for key, rule in inventory.governing.items():
        if key.id in in_force or rule.selects_clients or (rule.policy is None and "*" not in rule.host):
            continue
        wild = "*" in rule.host
        named = _covered(rule, inventory, served) if wild else sorted(inventory.called(rule.host) & served.keys())
        concerned = next(iter(named), "")
        outcome = served.get(concerned)
        if outcome and outcome.clusters and (found := _in_force(outcome)) != rule.manifest.id:
            whose = f"{inventory.services[concerned].manifest.kind} {concerned}"
            text = f"is not in force for {whose}{_why(rule, concerned, found, gateway, inventory)}"
            report.warn(rule.manifest, ("spec", "host"), text)


def _covered(rule: DestinationRule, inventory: Inventory, served: Mapping[str, Outcome]) -> Iterator[str]:
    """Services with clusters that a wildcard is for, in order."""
    for name in sorted(served):
        if served[name].clusters and covers(rule.host, inventory.services[name].host):
            yield name


def _in_force(outcome: Outcome) -> str:
    """The rule of a Service, which is one for all its ports."""
    return next((cluster.destination_rule for cluster in outcome.clusters.values()), "")


def _why(rule: DestinationRule, service: str, found: str, gateway: Gateway, inventory: Inventory) -> str:
    own, theirs = rule.manifest.namespace, service.partition("/")[0]
    looked_at = dict.fromkeys((gateway.manifest.namespace, theirs, ROOT_NAMESPACE))
    if own not in looked_at:
        text = f": waypoints take rules of the namespaces {', '.join(looked_at)} only (own, Service, root)"
        return f"{text}; move it to one of them"
    other = next((each for each in inventory.governing.values() if each.manifest.id == found), None)
    if other is None:
        return ": exportTo hides it from the waypoint"
    if (other.host, other.manifest.namespace) == (rule.host, own):
        first = f"of several for one host the trafficPolicy of the oldest counts, else of the first by name, {found}"
        return f": {first}; keep one"
    return f": {found} is, whose host is more specific or whose namespace comes first ({', '.join(looked_at)})"

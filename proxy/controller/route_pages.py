"""The admin pages about routes and policies: which there are, and what would become of a request that nobody sends.
Changes nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from proxy.admin.pages import Answer, Query, as_json, plain
from proxy.controller import trial_request
from proxy.controller.access_form import access_forms, shadows_form
from proxy.controller.configuration import Configuration
from proxy.controller.keys import KeySets
from proxy.controller.listed import POLICIES, ROUTES
from proxy.controller.rate_limit_form import of_route
from proxy.controller.trial import Trial, fitting, looked_at
from proxy.controller.trial_access import verdict
from proxy.controller.trial_effects import effects, location, of_head
from proxy.controller.trial_tokens import Worth, worth
from proxy.mesh.model import Cluster, Snapshot
from proxy.mesh.traffic.routing import Backend, RouteMatch, RouteRule
from proxy.policy.tokens.claims import BETWEEN, PRINCIPAL, texts


class RoutePages:
    """`queries` for the admin server. `normalization`: the setting, how paths are brought into one form."""

    def __init__(self, configuration: Configuration, keys: KeySets, normalization: str = "base") -> None:
        self._configuration = configuration
        self._keys = keys
        self._normalization = normalization
        self.queries: Mapping[str, Query] = {
            "/routes": self._routes,
            "/policies": self._policies,
            "/route": self._route,
        }

    def _routes(self, _asked: Mapping[str, str]) -> Answer:
        """All that are known, with the clusters whose requests they lead; `namespace` is the Gateway's."""
        snapshot = self._configuration.snapshot
        clusters = snapshot.clusters.values() if snapshot else ()
        leading = [
            (cluster.name, {rule.name.partition(" rule ")[0] for rule in cluster.routing.rules})
            for cluster in clusters
            if cluster.routing
        ]
        found = [
            each | {"clusters": [name for name, rules in leading if f"{each['kind']} {_id(each)}" in rules]}
            for each in self._configuration.listed(*ROUTES)
        ]
        return as_json({"namespace": _own(snapshot), "routes": found})

    def _policies(self, _asked: Mapping[str, str]) -> Answer:
        """All that are known, those that are for ztunnels too."""
        found = self._configuration.listed(*POLICIES)
        return as_json({"namespace": _own(self._configuration.snapshot), "policies": found})

    def _route(self, asked: Mapping[str, str]) -> Answer:
        """What would become of a request (`trial_request`)."""
        snapshot = self._configuration.snapshot
        if snapshot is None:
            return plain(400, "there is no configuration yet")
        try:
            trial = trial_request.read(asked, self._normalization)
        except ValueError as fault:
            return plain(400, str(fault))
        listeners = _reaching(snapshot, trial)
        if not listeners:
            return plain(400, f"nothing here answers to {trial.asked[0]}; /config_dump lists the names that there are")
        (_, name), *_ = listeners
        cluster = snapshot.clusters[name]
        try:
            token = worth(cluster.tokens, asked.get("token", ""), self._key_set, time.time())
        except ValueError as fault:
            return plain(400, f"these are no claims in JSON: {fault}")
        told = _told(snapshot, cluster, replace(trial, claims=token.claims))
        return as_json(told | {"token": _token(token, cluster), "listeners": [each for each, _ in listeners]})

    def _key_set(self, source: str) -> str:
        return self._keys.forms.get(source, "")


def _own(snapshot: Snapshot | None) -> str:
    return snapshot.gateway.partition("/")[0] if snapshot else ""


def _id(listed: Mapping[str, Any]) -> str:
    return f"{listed['namespace']}/{listed['name']}"


def _reaching(snapshot: Snapshot, trial: Trial) -> list[tuple[str, str]]:
    """The listeners that know whom the request asks for, each with the cluster it means."""
    found = []
    for listener in snapshot.listeners:
        reached = (pair for routes in listener.services.values() for pair in routes.items())
        table = {name: cluster for cluster, names in reached for name in names}
        if name := next((each for each in trial.asked if each in table), ""):
            found.append((f"{listener.name} ({listener.protocol}, port {listener.port})", table[name]))
    return found


def _told(snapshot: Snapshot, cluster: Cluster, trial: Trial) -> dict[str, Any]:
    trial = replace(trial, port=int(cluster.authority.rpartition(":")[2]))
    ruling = verdict(access_forms(cluster.access)[0], trial)
    routed = _routed(snapshot, cluster, trial)
    return {
        "request": {"method": trial.method, "authority": trial.authority, "path": trial.path, "query": trial.query},
        "client": trial.identity,
        "cluster": cluster.name,
        "closed": cluster.closed,
        "access": ruling._asdict() | {"rules": [each._asdict() for each in ruling.rules]},
        "shadows": _shadowed(cluster, trial),
        "limits": [*map(str, cluster.rate_limits), *_limits_of_route(cluster, routed["rule"])],
        **routed,
    }


def _limits_of_route(cluster: Cluster, name: str) -> list[str]:
    """Those of the route whose rule is called so."""
    rules = [each for each in (cluster.routing.rules if cluster.routing else ()) if each.name == name]
    return [of_route(limit, rule) for rule in rules[:1] for limit in rule.rate_limits]


def _token(found: Worth, cluster: Cluster) -> dict[str, Any]:
    return {
        "verified": bool(cluster.tokens),
        "refusal": found.refusal,
        "principal": "/".join(texts(found.claims, PRINCIPAL)).replace(BETWEEN, "/"),
        "rules": [each._asdict() for each in found.rules],
    }


def _shadowed(cluster: Cluster, trial: Trial) -> dict[str, Any]:
    """What policies say that have no say."""
    found = shadows_form(cluster.shadows)["http"] if cluster.shadows else {}
    said: dict[str, Any] = {}
    if form := found.get("audit"):
        said["audit"] = [each.rule for each in verdict(form, trial).rules if each.matches]
    if form := found.get("dry_run"):
        said["dry_run"] = verdict(form, trial)._asdict() | {"rules": []}
    return said


def _routed(snapshot: Snapshot, cluster: Cluster, trial: Trial) -> dict[str, Any]:
    """Which rule, why, and what it does."""
    if cluster.routing is None:
        alone = RouteRule("", backends=(Backend(cluster.name),), retries=cluster.retries)
        return {"matches": [], "rule": "", **_done(snapshot, alone, trial)}
    at = fitting(cluster.routing, trial)
    looked = cluster.routing.matches if at < 0 else cluster.routing.matches[: at + 1]
    rules = cluster.routing.rules
    matches = [_match(each, rules[each.rule], index == at, trial) for index, each in enumerate(looked)]
    if at < 0:
        return {"matches": matches, "rule": "", "answer": "404: no match fits", "backends": [], "does": []}
    rule = rules[looked[-1].rule]
    return {"matches": matches, "rule": rule.name, **_done(snapshot, rule, trial)}


def _match(match: RouteMatch, rule: RouteRule, fits: bool, trial: Trial) -> dict[str, Any]:
    looked = [each._asdict() for each in looked_at(match, trial)]
    return {"rule": rule.name, "fits": fits, "conditions": looked}


def _done(snapshot: Snapshot, rule: RouteRule, trial: Trial) -> dict[str, Any]:
    answer = ""
    if rule.redirect:
        answer = f"{rule.redirect.status}, location {location(rule.redirect, trial)}"
    elif rule.direct:
        answer = f"{rule.direct.status}, {len(rule.direct.body)} octets of body"
    total = sum(each.weight for each in rule.backends)
    backends = [_backend(snapshot, each, total, trial) for each in rule.backends]
    return {"answer": answer, "backends": backends, "does": list(effects(rule, trial))}


def _backend(snapshot: Snapshot, backend: Backend, total: int, trial: Trial) -> dict[str, Any]:
    cluster = snapshot.clusters.get(backend.cluster)
    answer = "" if cluster else f"{backend.status}: there is no such backend"
    if backend.redirect:
        answer = f"{backend.redirect.status}, location {location(backend.redirect, trial)}"
    return {
        "cluster": backend.cluster,
        "weight": backend.weight,
        "percent": round(100 * backend.weight / total, 1) if total else 0,
        "endpoints": len(cluster.endpoints) if cluster else 0,
        "answer": answer,
        "does": list(of_head(backend.rewrite, backend.request, backend.response, trial)),
    }

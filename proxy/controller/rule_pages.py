"""The admin pages about DestinationRules: which there are, and what is in force for a cluster. Changes nothing."""

from collections.abc import Mapping
from typing import Any

from proxy.admin.pages import Answer, Query, as_json, plain
from proxy.controller.configuration import Configuration
from proxy.controller.names import Names
from proxy.mesh.resolving.explained import spread_lines
from proxy.mesh.resolving.stated import Stated, stated


class RulePages:
    """`queries` for the admin server."""

    def __init__(self, configuration: Configuration, names: Names) -> None:
        self._configuration = configuration
        self._names = names
        self.queries: Mapping[str, Query] = {"/destinationrules": self._rules, "/policy": self._policy}

    def _rules(self, _asked: Mapping[str, str]) -> Answer:
        """All that are known, those that are in force nowhere too; `namespace` is the Gateway's."""
        snapshot = self._configuration.snapshot
        own = snapshot.gateway.partition("/")[0] if snapshot else ""
        return as_json({"namespace": own, "rules": self._configuration.listed("DestinationRule")})

    def _policy(self, asked: Mapping[str, str]) -> Answer:
        """Of the cluster asked for (`?cluster=httpbin/in-ambient:8000`): its rule, each value with its rule, and what
        is known of the host names among its endpoints."""
        snapshot = self._configuration.snapshot
        clusters = snapshot.clusters if snapshot else {}
        name = asked.get("cluster", "")
        cluster = clusters.get(name)
        if cluster is None:
            return plain(400, f"unknown cluster {name!r}; there is: {', '.join(clusters) or 'none'}")
        policy = cluster.policy
        values = [_value(each) for each in stated(policy)]
        spread = list(spread_lines(cluster.spread)) if cluster.spread else []
        shown = self._names.shown() if cluster.names else {}
        names = {name: shown[name] for name, _ in cluster.names if name in shown}
        found = {"rule": policy.rule, "ejects": policy.ejecting is not None, "values": values}
        return as_json(found | {"spread": spread, "names": names})


def _value(each: Stated) -> dict[str, Any]:
    return each._asdict() | {"path": each.stands}

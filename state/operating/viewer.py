"""What operators see, over Redis alone: no replica need be running. Changes nothing.

The client must decode responses.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import redis

from state.constants import RULE_MS
from state.keys import Keys
from state.operating import explain as explaining
from state.operating.absence import nothing_of
from state.operating.history import Entry, entry
from state.operating.rule import Rule, parse
from state.operating.sight import Out, Seen
from state.scripts import source
from state.server.failures import unavailable

# An endpoint's own entries are looked for among so many.
ALL_ENTRIES = 1000

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[0-9.]+):[0-9]{1,5}")

Directory = Mapping[str, Mapping[str, str]]
"""Clusters with their endpoints and the workloads of these, "" when not known."""


class Refused(Exception):
    """What was asked cannot be done; the text says what there is instead."""


class Viewer:
    """`directory` tells what the caller knows to exist; without one Redis is searched for it.

    Every method may raise StoreUnavailable, and those that are given names Refused.
    """

    def __init__(
        self, client: redis.Redis, prefix: str = "waypoint", directory: Callable[[], Directory] | None = None
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._directory = directory
        self._look = client.register_script(source("look"))

    def ejections(self) -> list[Out]:
        """Everything that is out, over the whole fleet."""
        found: list[Out] = []
        for cluster, endpoints in self.clusters().items():
            if not endpoints:
                continue
            told = self._told(cluster, self._rule(cluster)[0])
            ejected = [seen for seen in self._see(cluster, sorted(endpoints), told) if seen.ejected]
            keys = self.keys(cluster)
            found += (seen.out(cluster, keys.eject(seen.endpoint), told.get(seen.endpoint, "")) for seen in ejected)
        return found

    def nothing_here(self) -> str:
        """Why it is no news that nothing is out, or has happened: no replica tells of anything here. "" if one does."""
        return "" if self.clusters() else nothing_of(self._client, self._prefix)

    def history(self, cluster: str = "", endpoint: str = "", limit: int = 20, since_ms: int = 0) -> list[Entry]:
        """The newest entries of one cluster, or of all, oldest first; not those before `since_ms`, on the clock of
        Redis."""
        if cluster:
            self._known(cluster)
        found: list[Entry] = []
        for name in [cluster] if cluster else self.clusters():
            found += self._entries(name, endpoint, ALL_ENTRIES if endpoint else limit, since_ms)[:limit]
        return sorted(found, key=lambda each: each.place)[-limit:]

    def explain(self, cluster: str, endpoint: str = "") -> explaining.ClusterReport:
        """Why an endpoint, or each of the cluster, is ejected or not."""
        more = self._known(cluster)
        rule, age_s = self._rule(cluster)
        told = self._told(cluster, rule)
        members, endpoint = self._members(cluster, told, more), address_of(endpoint, told)
        if endpoint:
            self._check(cluster, endpoint, told, members)
        names = list({*members, *([endpoint] if endpoint else [])})
        seen = {each.endpoint: each for each in self._see(cluster, names, told)}
        ejected = sum(each.ejected and not each.absent for each in seen.values())
        entries = self._entries(cluster, endpoint, ALL_ENTRIES)
        reports = (
            explaining.report(seen[name], told.get(name, ""), rule.policy, ejected, _of(name, entries))
            for name in ([endpoint] if endpoint else members)
        )
        found = explaining.cluster_report(cluster, rule, age_s, self._listening(cluster), ejected)
        return replace(found, reports=tuple(reports))

    # -- what there is ------------------------------------------------------------------------------------------------

    def clusters(self) -> dict[str, set[str]]:
        """Every cluster with its endpoints, as far as they are known."""
        if self._directory:
            return {cluster: set(endpoints) for cluster, endpoints in self._directory().items()}
        found: dict[str, set[str]] = {}
        with unavailable():
            for key in self._client.scan_iter(match=f"{_escaped(self._prefix)}:{{*}}:*", count=1000):
                cluster, _, rest = key[len(self._prefix) + 2 :].partition("}:")
                if rest == "rule":
                    found.setdefault(cluster, set())
                elif rest.startswith("eject:"):
                    found.setdefault(cluster, set()).add(rest.removeprefix("eject:"))
        return dict(sorted(found.items()))

    def _known(self, cluster: str) -> set[str]:
        """The cluster's endpoints as far as they have been found, if there is such a cluster."""
        with unavailable():
            if cluster and not self._directory and self._client.exists(self.keys(cluster).rule):
                return set()  # the usual case; its rule names them, and nothing need be searched
        clusters = self.clusters()
        if cluster not in clusters:
            there_is = f"there is: {', '.join(clusters)}" if clusters else "no replica has told of any"
            raise Refused(
                f"unknown cluster {cluster!r}; {there_is}. A cluster is a Service and its port, NAMESPACE/NAME:PORT, "
                "with outlierDetection: without, nothing of it is shared, and no hand can eject"
            )
        return clusters[cluster]

    def keys(self, cluster: str) -> Keys:
        """Where in Redis that cluster's state is."""
        return Keys(self._prefix, cluster)

    def _rule(self, cluster: str) -> tuple[Rule, float | None]:
        """The rule that replicas tell of, and how long ago one did."""
        key = self.keys(cluster).rule
        with unavailable():
            text, left_s = cast(str | None, self._client.get(key)), self._client.ttl(key)
        return parse(text or ""), float(RULE_MS // 1000 - left_s) if text and left_s >= 0 else None

    def _told(self, cluster: str, rule: Rule) -> Mapping[str, str]:
        """The cluster's endpoints, in order, as those know them that serve it."""
        return self._directory().get(cluster, {}) if self._directory else rule.addresses

    def _members(self, cluster: str, told: Mapping[str, str], more: Iterable[str]) -> list[str]:
        """All endpoints that anything is known of: those told of, in their order, then others."""
        with unavailable():
            indexed = cast(list[str], self._client.zrange(self.keys(cluster).ejected, 0, -1))
        return [*told, *sorted({*indexed, *more} - set(told))]

    def _check(self, cluster: str, endpoint: str, told: Mapping[str, str], members: Sequence[str]) -> None:
        """See that there may be such an endpoint."""
        with unavailable():
            if endpoint in members or self._client.exists(self.keys(cluster).eject(endpoint)):
                return
        if told or not _ADDRESS.fullmatch(endpoint):
            there_is = f"there is: {', '.join(members)}" if members else "it is IP:PORT"
            raise Refused(f"unknown endpoint {endpoint!r} of {cluster}; {there_is}")

    # -- reading ------------------------------------------------------------------------------------------------------

    def _see(self, cluster: str, endpoints: Sequence[str], told: Mapping[str, str]) -> list[Seen]:
        """`told` has those that the cluster consisted of when it was told of last; what replicas say now goes before
        it."""
        keys = self.keys(cluster)
        names = [keys.ejected, keys.log, keys.version]
        for endpoint in endpoints:
            names += [keys.eject(endpoint), keys.endpoint(endpoint)]
        with unavailable():
            now, _, rows = cast(list[Any], self._look(keys=names, args=[keys.events]))
            return [
                Seen(endpoint, int(now), int(left), text, _fields(flat), _is_absent(int(has), endpoint, told))
                for endpoint, (left, text, flat, has) in zip(endpoints, rows, strict=True)
            ]

    def _entries(self, cluster: str, endpoint: str, count: int, since_ms: int = 0) -> list[Entry]:
        """Newest first."""
        with unavailable():
            rows = self._client.xrevrange(self.keys(cluster).log, "+", str(since_ms), count)
            entries = [entry(cluster, id, fields) for id, fields in cast(list[Any], rows)]
        return _of(endpoint, entries) if endpoint else entries

    def _listening(self, cluster: str) -> int:
        """How many replicas hear what happens: one worker of each subscribes. A node of a Redis Cluster counts its own
        subscribers only, so all are asked."""
        primaries = getattr(self._client, "primaries", None)
        with unavailable():
            nodes = primaries() if primaries else [self._client]
            return sum(int(node.pubsub_numsub(self.keys(cluster).events)[0][1]) for node in nodes)


def address_of(endpoint: str, told: Mapping[str, str]) -> str:
    """The address of an endpoint that may be called by its workload; `told` has the cluster's. Raises Refused."""
    found = [address for address, workload in told.items() if workload == endpoint and endpoint not in told]
    if len(found) > 1:
        raise Refused(f"{endpoint} has several addresses, say which: {', '.join(found)}")
    return found[0] if endpoint and found else endpoint


def _of(endpoint: str, entries: Sequence[Entry]) -> list[Entry]:
    return [each for each in entries if endpoint in (each.endpoint, each.workload)]


def _fields(flat: Sequence[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _is_absent(has: int, endpoint: str, told: Mapping[str, str]) -> bool:
    """`has`: 1 or 0 as replicas say now, -1 when there is none."""
    return has == 0 or (has < 0 and bool(told) and endpoint not in told)


def _escaped(prefix: str) -> str:
    return "".join(f"\\{character}" if character in "*?[]\\" else character for character in prefix)

"""The admin pages, as JSON: what this replica is, what it was told and how its endpoints fare; and the answer to
probes. Changes nothing.

Whoever reaches the port reads everything, hence loopback only; passwords and keys are hidden all the same.
"""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from proxy import addresses
from proxy.admin.pages import Answer, Page, Query, as_json, plain
from proxy.admin.picking import picking, whole_of
from proxy.controller.configuration import Configuration
from proxy.controller.keys import KeySets
from proxy.controller.names import Names
from proxy.controller.readiness import Readiness
from proxy.controller.snapshots import Snapshots
from proxy.identity.credential_watch import CredentialWatch
from proxy.identity.watch import CertificateWatch
from proxy.ipc.channel import Message
from proxy.ipc.snapshot import ClusterForm, EndpointForm, ListenerForm
from proxy.scoreboard.buckets import BUCKETS_MS
from proxy.scoreboard.clusters import LIMITS
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import DRAINING, READY, STARTING
from proxy.settings.kinds import masked_url
from proxy.settings.settings import Settings
from proxy.version import __version__

_STATES = {STARTING: "starting", READY: "ready", DRAINING: "draining"}


class Admin:
    """`pages` and `queries` for the admin server."""

    def __init__(
        self,
        settings: Settings,
        briefing: Message,
        board: Scoreboard,
        snapshots: Snapshots,
        configuration: Configuration,
        certificates: CertificateWatch,
        credentials: CredentialWatch,
        readiness: Readiness,
        names: Names,
        keys: KeySets,
    ) -> None:
        self._settings = settings
        self._briefing = briefing
        self._board = board
        self._snapshots = snapshots
        self._configuration = configuration
        self._certificates = certificates
        self._credentials = credentials
        self._readiness = readiness
        self._names = names
        self._keys = keys
        self.pages: Mapping[str, Page] = {
            "/server_info": self._server_info,
            "/config_dump": self._config_dump,
            "/certs": lambda: as_json(self._certificates.shown()),
        }
        self.queries: Mapping[str, Query] = {"/clusters": self._clusters, "/picks": self._picks}

    def _server_info(self) -> Answer:
        reason = self._readiness.reason()
        return as_json(
            {
                "version": __version__,
                "replica": self._briefing["replica"],
                "state": reason or "ready",
                "pid": self._briefing["arbiter_pid"],
                "controller_pid": os.getpid(),
                "uptime_s": round(time.monotonic() - self._briefing["started"], 1),
                "redis": masked_url(self._briefing["redis"]),
                "ejections": "shared" if self._board.shared_state else "local",
                "shared_state": self._mode(),
                "snapshot": self._snapshots.number,
                "last_reload": self._configuration.last_reload(),
                "listener_faults": self._readiness.listener_faults,
                "workers": [
                    row._asdict() | {"state": _STATES.get(row.state, "")} for row in self._board.workers.rows()
                ],
            }
        )

    def _mode(self) -> dict[str, Any]:
        """Who decides about ejections, since when and why."""
        mode, now = self._board.mode(), time.monotonic()
        seconds = now - (mode.since_ms / 1000 or self._briefing["started"])
        since = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat(timespec="milliseconds")
        return {
            "mode": "shared" if mode.shared else "local",
            "since": since.replace("+00:00", "Z"),
            "seconds": round(seconds, 1),
            "reason": mode.reason if mode.since_ms else "Redis has not answered yet",
        }

    def _config_dump(self) -> Answer:
        newest = self._configuration.snapshot
        return as_json(
            {
                "settings": self._settings.shown(),
                "warnings": self._configuration.warnings,
                "kubernetes": self._configuration.of_cluster(),
                "names": self._names.shown(),
                "keys": self._keys.shown(),
                "snapshot": {
                    "number": self._snapshots.number,
                    "gateway": newest.gateway if newest else "",
                    "listeners": [_listener(listener) for listener in self._snapshots.listeners()],
                    "clusters": list(self._snapshots.clusters.values()),
                    "credentials": self._credentials.shown(),
                },
            }
        )

    def _clusters(self, asked: Mapping[str, str]) -> Answer:
        """All, or the one asked for (`?name=httpbin/in-ambient:8000`): of thousands the page is long."""
        clusters = self._snapshots.clusters
        if name := asked.get("name"):
            clusters = {name: clusters[name]} if name in clusters else {}
        return as_json([self._cluster(cluster) for cluster in clusters.values()])

    def _picks(self, asked: Mapping[str, str]) -> Answer:
        """Why endpoints of the cluster asked for (`?cluster=httpbin/in-ambient:8000`) are picked, or are not."""
        clusters, name = self._snapshots.clusters, asked.get("cluster", "")
        if name not in clusters:
            return plain(400, f"unknown cluster {name!r}; there is: {', '.join(clusters) or 'none'}")
        return as_json(picking(self._board, clusters[name], clusters.get(whole_of(name))))

    def _cluster(self, cluster: ClusterForm) -> dict[str, Any]:
        counters = self._board.clusters.counters(cluster["slot"])._asdict()
        counters["buckets_ms"] = _histogram(counters.pop("buckets"))
        counters["ejections"] = sum(counters.pop("decided")) + sum(counters.pop("followed"))
        if "groups" not in cluster["balance"]:
            del counters["grouped"]
        counters["refused"] = dict(zip(LIMITS, counters["refused"], strict=True))
        return {
            "name": cluster["name"],
            "envoy_name": cluster["envoy_name"],
            "closed": cluster["closed"],
            "outlier": cluster["outlier"],
            "destination_rule": cluster["destination_rule"],
            "shared": self._board.shared_state and not self._board.clusters.alone(cluster["slot"]),
            "limits": cluster["pool"],
            "held": dict(zip(LIMITS, self._board.clusters.held(cluster["slot"]), strict=True)),
            "shares": self._shares(cluster),
            "counters": counters,
            "endpoints": [self._endpoint(endpoint) for endpoint in cluster["endpoints"]],
        }

    def _shares(self, cluster: ClusterForm) -> dict[str, int]:
        """This replica's, of limits that the fleet keeps together; those that nobody has said yet are not there."""
        shares = self._board.shares.of(cluster["slot"]) if cluster["pool"].get("fleet") else ()
        return {limit: share for limit, share in zip(LIMITS, shares, strict=False) if share >= 0}

    def _endpoint(self, endpoint: EndpointForm) -> dict[str, Any]:
        row = self._board.endpoints.row(endpoint["slot"])
        name = {"address": addresses.join(endpoint["ip"], endpoint["port"]), "workload": endpoint["workload"]}
        return name | {"ejected": row.ejected_left_ms > 0} | row._asdict()


def ready(readiness: Readiness) -> Answer:
    """The answer to a probe."""
    reason = readiness.reason()
    return plain(503, f"not ready: {reason}") if reason else plain(200, "ready")


def _listener(listener: ListenerForm) -> dict[str, Any]:
    """With its routes as one table, and as text: in a snapshot they are bytes, by Service."""
    reached = [pair for routes in listener["services"].values() for pair in routes.items()]
    return {
        "name": listener["name"],
        "address": listener["address"],
        "protocol": listener["protocol"],
        "routes": {name.decode("latin-1"): cluster for cluster, names in reached for name in names},
        "clusters": [cluster for cluster, _ in reached],
        **({"tls": listener["tls"]} if "tls" in listener else {}),
    }


def _histogram(counts: tuple[int, ...]) -> dict[str, int]:
    """Requests by duration: upper bound in milliseconds, only where there are some."""
    bounds = [*map(str, BUCKETS_MS), "more"]
    return {bound: count for bound, count in zip(bounds, counts, strict=True) if count}

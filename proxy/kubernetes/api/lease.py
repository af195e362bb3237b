"""Who of several replicas leads: a Lease (coordination.k8s.io), held for a while and renewed.

Clocks of different machines are never compared: a holder's time is up when it has not renewed for the Lease's own
duration, measured here since the last change that was seen. Every write carries the resourceVersion that was read, so
of two that want it at once one is refused (409).

    what is read            | what is done
    none                    | made, with us as its holder
    ours, or nobody's       | renewed
    another's, changed      | nothing: its time begins anew
    another's, time not up  | nothing
    another's, time up      | taken over
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.resources import Resource

logger = logging.getLogger("lease")

LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DURATION_S = 15
RENEWED_S = 10.0
"""How long the holder counts on a renewal, from the moment it began: others take over well after that."""
EVERY_S = 5.0
RETRY_S = 2.0


class Lease:
    """One candidate's view of a Lease. `turn` is called again and again, by one thread; `held` by any."""

    def __init__(
        self, client: Client, namespace: str, name: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._clock = clock
        self._until = 0.0
        self._seen: tuple[str, float] = ("", 0.0)
        """resourceVersion that was read last, and since when it is the same."""
        self.holder = ""
        """Who leads, as far as is known."""

    @property
    def held(self) -> bool:
        """Whether we lead now."""
        return self._clock() < self._until

    def turn(self) -> float:
        """Renew, take, or look on. Seconds until the next turn, whatever the API server said."""
        before = self.held
        try:
            self._try()
        except ApiFault as fault:
            if not fault.conflict:
                logger.warning("%s/%s: %s", self._namespace, self._name, fault)
        if before and not self.held:
            logger.warning("no longer the leader: the Lease could not be renewed in time")
        return EVERY_S if self.held else RETRY_S

    def release(self) -> None:
        """Lead no more, and say so, that nobody has to wait for the time to be up."""
        if not self.held:
            return
        self._until = 0.0
        try:
            lease = self._client.get(self._path())
            if lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                self._client.send("PUT", self._path(), lease)
        except ApiFault as fault:
            logger.info("%s/%s: not released: %s", self._namespace, self._name, fault)

    def _try(self) -> None:
        began = self._clock()
        try:
            lease = self._client.get(self._path())
        except ApiFault as fault:
            if not fault.not_found:
                raise
            self._client.send("POST", LEASES.path(self._namespace), self._made())
        else:
            if not self._free(lease, began):
                return
            self._client.send("PUT", self._path(), self._taken(lease))
        if not began < self._until:
            logger.info("leads now, as %s", self._identity)
        self.holder, self._until = self._identity, began + RENEWED_S

    def _free(self, lease: dict[str, Any], now: float) -> bool:
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = version, now
        spec = lease.get("spec") or {}
        self.holder = spec.get("holderIdentity") or ""
        if self.holder in ("", self._identity):
            return True
        return now - self._seen[1] > (spec.get("leaseDurationSeconds") or DURATION_S)

    def _made(self) -> dict[str, Any]:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": self._said(_now(), 0),
        }

    def _taken(self, lease: dict[str, Any]) -> dict[str, Any]:
        spec = lease.get("spec") or {}
        mine = spec.get("holderIdentity") == self._identity
        since = spec.get("acquireTime") if mine else None
        changes = (spec.get("leaseTransitions") or 0) + (not mine)
        return {**lease, "spec": {**spec, **self._said(since or _now(), changes)}}

    def _said(self, since: str, changes: int) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": since,
            "renewTime": _now(),
            "leaseTransitions": changes,
        }

    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

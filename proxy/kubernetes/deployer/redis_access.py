"""What waypoints need to get to Redis, out of one Secret in our own namespace: its password, say, or the CA.

Asked for by name, as each waypoint's copy is written: a changed password is carried on within a minute. Where the chart
brings the Redis, its password is made here, once, and not by the chart, which cannot know whether there is one already
where nobody runs it in the cluster.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable
from dataclasses import replace

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.deployer import kinds
from proxy.kubernetes.deployer.children import REDIS_FILES, REDIS_NAMES, Site
from proxy.kubernetes.deployer.wish import MANAGED_BY, MANAGER

FRESH_S = 30.0


class RedisAccess:
    """A site with what the Secret says: call it. ApiFault if that cannot be read."""

    def __init__(
        self,
        site: Site,
        client: Client,
        namespace: str,
        name: str,
        make: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._site = site
        self._client = client
        self._path = kinds.SECRETS.path(namespace, name)
        self._namespace = namespace
        self._name = name
        self._make = make
        self._clock = clock
        self._read_at = float("-inf")

    def __call__(self) -> Site:
        if self._clock() > self._read_at + FRESH_S:
            self._site = replace(self._site, redis_secret=self._data())
            self._read_at = self._clock()
        return self._site

    def _data(self) -> dict[str, str]:
        try:
            found = self._client.get(self._path)
        except ApiFault as fault:
            if not fault.not_found or not self._make:
                raise
            found = self._client.send("POST", kinds.SECRETS.path(self._namespace), self._made())
        data = found.get("data") or {}
        return {key: data[key] for key in (*REDIS_FILES, *REDIS_NAMES) if key in data}

    def _made(self) -> dict[str, object]:
        password = base64.b64encode(secrets.token_urlsafe(24).encode()).decode()
        metadata = {"name": self._name, "namespace": self._namespace, "labels": {MANAGED_BY: MANAGER}}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "Opaque",
            "data": {"password": password},
        }

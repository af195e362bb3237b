"""One object by its name, asked for again and again: the right to get it is enough, where a watch takes more rights.
Whoever grants a right must have it, so this is how Secrets are followed.

Tells its sink what a reflector would.
"""

from __future__ import annotations

import logging
import random
import threading

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.reflector import Sink
from proxy.kubernetes.api.resources import Watched

logger = logging.getLogger("kubernetes")

POLL_S = 5.0
SPREAD = 0.2
"""The part of the time by which replicas differ, so that they do not all ask at once."""


class Poller:
    """Keeps the sink up to date with `watched.name`. What is known stays known while the server does not answer."""

    def __init__(self, client: Client, watched: Watched, sink: Sink, poll_s: float = POLL_S) -> None:
        self._client = client
        self._watched = watched
        self._sink = sink
        self._poll_s = poll_s
        self._version: str | None = None
        """Of the object that the sink knows; None: it knows of none."""
        self._stopped = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped.is_set():
            self.look()
            self._stopped.wait(self._poll_s * random.uniform(1 - SPREAD, 1 + SPREAD))

    def stop(self) -> None:
        """Nothing is told any more."""
        self._stopped.set()

    def look(self) -> None:
        """Ask once."""
        watched = self._watched
        try:
            body = self._client.get(watched.resource.path(watched.namespace, watched.name), {})
        except ApiFault as fault:
            if not fault.not_found:
                self._sink.troubled(watched, fault)
                return
            self._gone()
        else:
            self._found(body)
        self._sink.well(watched)
        self._sink.listed(watched)

    def _found(self, body: dict[str, object]) -> None:
        metadata = body.get("metadata")
        version = str(metadata.get("resourceVersion")) if isinstance(metadata, dict) else ""
        if version != self._version:
            self._version = version
            self._sink.put(self._watched, self._watched.namespace, self._watched.name, body)

    def _gone(self) -> None:
        if self._version is not None:
            self._version = None
            self._sink.drop(self._watched, self._watched.namespace, self._watched.name)

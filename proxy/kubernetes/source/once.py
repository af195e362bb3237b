"""Everything there is, once: for those who only want to look."""

from __future__ import annotations

import threading

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.source.plan import Known
from proxy.kubernetes.source.source import Change, KubernetesSource

PATIENCE_S = 30.0


def everything(client: Client, known: Known, patience_s: float = PATIENCE_S) -> list[Change]:
    """All objects that the Gateway needs. Raises ApiFault with what could not be had, and the right it takes."""
    told = threading.Event()
    source = KubernetesSource(client, known, told.set)
    source.start()
    try:
        if not told.wait(patience_s):
            raise ApiFault(source.reason)
        return list(source.take())
    finally:
        source.stop()

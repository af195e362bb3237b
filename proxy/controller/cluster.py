"""The cluster that objects come from and that events are told to, as the settings say."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from proxy.ipc.channel import Message
from proxy.mesh.resolving.here import Own, own
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.settings import inside
from proxy.settings.settings import Settings

# Two MiB, which only those who live in a cluster need.
if TYPE_CHECKING:
    from proxy.controller.events import Events
    from proxy.kubernetes.api.client import Client
    from proxy.kubernetes.source.source import KubernetesSource


def client_of(settings: Settings) -> Client | None:
    """The way to the cluster; None where files are all there is. A kubeconfig that has vanished since the start is as
    an API server that is away: what there was goes on."""
    if settings.source != "kubernetes":
        return None
    from proxy.kubernetes.api.client import Client
    from proxy.kubernetes.api.find import find

    return Client(lambda: find(settings.kubeconfig or "", settings.context or "", os.environ))


def cluster_of(settings: Settings, client: Client | None, news: Callable[[], None]) -> KubernetesSource | None:
    """The cluster to follow, not yet started; None where there is none."""
    if client is None:
        return None
    from proxy.kubernetes.source.plan import Known
    from proxy.kubernetes.source.source import KubernetesSource

    assert settings.gateway
    namespace, _, name = settings.gateway.partition("/")
    return KubernetesSource(client, Known(namespace, name), news)


def own_of(settings: Settings) -> Own:
    """What this replica knows of itself."""
    return own(inside.own_pod(os.environ), settings.locality, inside.own_labels())


def events_of(settings: Settings, client: Client | None, board: Scoreboard, briefing: Message) -> Events | None:
    """Where events are told; None where there is no cluster."""
    if client is None:
        return None
    from proxy.controller.events import Events
    from proxy.fleet.sightings import Sightings
    from proxy.kubernetes.api.events import Recorder

    assert settings.gateway
    replica = briefing["replica"]
    recorder = Recorder(client, replica)
    recorder.start()
    return Events(recorder.tell, Sightings(board, replica, str(briefing["started"])), settings.gateway, replica)

"""The cluster that objects come from, as the settings say."""

import os
from collections.abc import Callable

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.find import find
from proxy.kubernetes.source.plan import Known
from proxy.kubernetes.source.source import KubernetesSource
from proxy.settings.settings import Settings


def cluster_of(settings: Settings, news: Callable[[], None]) -> KubernetesSource | None:
    """The cluster to follow, not yet started; None where files are all there is. Raises AccessFault."""
    if settings.source != "kubernetes":
        return None
    assert settings.gateway
    namespace, _, name = settings.gateway.partition("/")
    client = Client(find(settings.kubeconfig or "", settings.context or "", os.environ))
    return KubernetesSource(client, Known(namespace, name), news)

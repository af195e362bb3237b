"""Workers' relays over one scoreboard, in this process, for what is asked of their clusters: no socket, no load."""

import os
from collections.abc import Sequence

from proxy.controller.forms import cluster_form
from proxy.ipc.snapshot import ClusterForm
from proxy.mesh.model import NOWHERE, Cluster, Endpoint, Group, Spread
from proxy.mesh.traffic.balancing import LoadBalancer
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import DEFAULT_LOAD_BALANCER, EffectivePolicy
from proxy.observe.access_log import AccessLog
from proxy.relay.context.context import Context
from proxy.relay.context.timeouts import Timeouts
from proxy.relay.relay import Relay
from proxy.scoreboard.scoreboard import Scoreboard


def cluster(
    board: Scoreboard,
    name: str,
    ips: Sequence[str],
    ejects: bool = False,
    balancer: LoadBalancer = DEFAULT_LOAD_BALANCER,
    weights: Sequence[int] = (),
    min_health: int = 0,
    groups: Sequence[Group] = (),
    joined_ms: Sequence[int] = (),
) -> ClusterForm:
    """A cluster with an endpoint at port 80 of each address, as a snapshot has it; what has no slot yet gets one.
    `groups` stand one behind the other; with weights requests are distributed, without there is failover."""
    clusters, endpoints = board.clusters.slots(), board.endpoints.slots()
    slot = clusters[name] if name in clusters else board.clusters.add(name)
    members = tuple(
        Endpoint(ip, 80, "", weight=weight, joined_ms=joined)
        for ip, weight, joined in zip(ips, weights or [1] * len(ips), joined_ms or [0] * len(ips), strict=True)
    )
    spread = Spread(tuple(groups), not any(each.weight for each in groups), "", NOWHERE) if groups else None
    keys = [(slot, each.address, each.workload) for each in members]
    places = [endpoints[key] if key in endpoints else board.endpoints.add(*key) for key in keys]
    rule = OutlierDetection(5, 10_000, 30_000, 100, min_health_percent=min_health) if ejects else None
    policy = EffectivePolicy(load_balancer=balancer, outlier_detection=rule)
    return cluster_form(Cluster(name, name, name, members, policy, spread=spread), slot, places)


def relay(board: Scoreboard, worker: int = 0) -> Relay:
    """The relay of one worker, which serves nothing yet."""
    timeouts = Timeouts(
        idle_timeout=1,
        request_headers_timeout=1,
        stream_idle_timeout=1,
        protocol_detection_timeout=1,
        endpoint_idle_timeout=1,
    )
    return Relay(Context(board, worker, AccessLog(os.devnull), None, timeouts))

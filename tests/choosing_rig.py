"""Workers' relays over one scoreboard, in this process, for what is asked of their clusters: no socket, no load."""

import os
from collections.abc import Sequence

from proxy.ipc.snapshot import ClusterForm, EndpointForm, OutlierForm
from proxy.observe.access_log import AccessLog
from proxy.relay.context.context import Context
from proxy.relay.context.timeouts import Timeouts
from proxy.relay.relay import Relay
from proxy.scoreboard.scoreboard import Scoreboard


def cluster(board: Scoreboard, name: str, ips: Sequence[str], ejects: bool = True) -> ClusterForm:
    """A cluster with an endpoint at port 80 of each address, on the scoreboard and as a snapshot has it."""
    slot = board.clusters.add(name)
    endpoints: list[EndpointForm] = [
        {
            "ip": ip,
            "port": 80,
            "workload": "",
            "hbone": False,
            "identity": "",
            "slot": board.endpoints.add(slot, f"{ip}:80", ""),
        }
        for ip in ips
    ]
    outlier: OutlierForm = {
        "consecutive_5xx": 5,
        "interval_ms": 10_000,
        "base_ejection_ms": 30_000,
        "max_ejection_percent": 100,
        "probe": False,
        "local_origin_quorum": 0,
    }
    return {
        "name": name,
        "slot": slot,
        "envoy_name": "",
        "authority": "web:80",
        "connect_timeout_ms": 1000,
        "abandoned_ms": 0,
        "closed": "",
        "outlier": outlier if ejects else None,
        "destination_rule": "",
        "protocol": "http",
        "endpoints": endpoints,
    }


def worker(board: Scoreboard, number: int, *clusters: ClusterForm) -> Relay:
    """The relay of one worker, which serves these."""
    timeouts = Timeouts(
        idle_timeout=0,
        request_headers_timeout=10,
        stream_idle_timeout=10,
        protocol_detection_timeout=1,
        endpoint_idle_timeout=10,
    )
    relay = Relay(Context(board, number, AccessLog(os.devnull), None, timeouts))
    relay.apply(True, list(clusters), [])
    return relay

"""At what size one Redis primary is saturated, and how far a sharded one goes: pure, from measured costs of calls.

A fleet of R replicas serves C clusters. In a share of these all endpoints flap (simulate.py says what that asks for);
the others are looked at once an interval. Every published event is delivered to R subscribers: that would grow with
R * R, did not the rules bound it (state/outlier/witnesses.py). A cluster's name is the hash tag of its keys, so a
cluster is on one shard, and the fullest shard is the limit.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from proxy.fleet.settle import LOOKS_APART_MS
from tests.bench.fleet.calibrate import Costs
from tests.bench.fleet.simulate import Cluster, Simulation

SATURATED = 0.7
"""Of one core."""
INTERVAL_SECONDS = 10.0
EJECTED_INTERVAL_SECONDS = 1.0
REQUESTS_PER_SECOND = 20.0
"""Of one replica in one cluster."""
SECONDS = 20.0
REPLICAS = (2, 8, 32, 100, 300)
SHARES = (0.01, 0.1, 1.0)
SHARDS = (3, 6, 12)
SLOTS = 16384


class Demand(NamedTuple):
    """What one flapping cluster asks of the server, a second."""

    reports: float
    events: float
    busy: float  # share of a core


class Row(NamedTuple):
    """How many clusters a fleet of so many replicas can have; by shard count, a single primary is 1."""

    replicas: int
    share: float
    reports_per_second: float
    clusters: dict[int, int]


def demand(replicas: int, costs: Costs) -> Demand:
    """Of one cluster of such a fleet while its endpoints flap."""
    counts = Simulation(Cluster(replicas, REQUESTS_PER_SECOND)).run(SECONDS)
    reports, events = counts["reports"] / SECONDS, counts["events"] / SECONDS
    busy_us = reports * costs.failure + events * (costs.turn - costs.failure + replicas * costs.delivery)
    together = max(EJECTED_INTERVAL_SECONDS, min(INTERVAL_SECONDS, replicas * LOOKS_APART_MS / 1000))
    return Demand(reports, events, busy_us / 1e6 + looking(replicas, together, costs))


def looking(replicas: int, interval: float, costs: Costs) -> float:
    """Share of a core for the reconciles of one cluster with three endpoints."""
    return replicas / interval * (costs.look + 3 * costs.look_endpoint) / 1e6


def rows(replicas: int, costs: Costs) -> list[Row]:
    """Of a fleet of this size, for every share of flapping clusters."""
    found, asked = [], demand(replicas, costs)
    for share in SHARES:
        each = share * asked.busy + (1 - share) * looking(replicas, INTERVAL_SECONDS, costs)
        primary = int(SATURATED / each)
        clusters = {1: primary} | {shards: spread(primary, shards) for shards in SHARDS}
        found.append(Row(replicas, share, asked.reports, clusters))
    return found


def spread(primary: int, shards: int) -> int:
    """How many clusters fit on so many shards, each of which takes as many as one primary, before one is full."""
    filled = [0] * shards
    for count in itertools.count():
        shard = slot(f"team-{count % 97}/service-{count}:8000".encode()) * shards // SLOTS
        if filled[shard] == primary:
            return count
        filled[shard] += 1
    raise AssertionError("not reached")


def slot(tag: bytes) -> int:
    """The hash slot of a Redis Cluster: CRC16/XMODEM of the hash tag."""
    crc = 0
    for byte in tag:
        crc = (crc << 8 & 0xFFFF) ^ _CRC[crc >> 8 ^ byte]
    return crc % SLOTS


def _table() -> Iterable[int]:
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x1021 if crc & 0x8000 else 0)
        yield crc & 0xFFFF


_CRC = tuple(_table())

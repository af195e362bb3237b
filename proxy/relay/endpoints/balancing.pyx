"""Which chooser a cluster has, by the algorithm that its part of a snapshot names (proxy/ipc/snapshot.py BalanceForm)."""

import time

from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.relay.endpoints.chooser cimport Chooser, RoundRobin
from proxy.relay.endpoints.draws cimport LeastRequest, Random
from proxy.relay.endpoints.grouped cimport Grouped
from proxy.relay.endpoints.hashes cimport Maglev, RingHash
from proxy.scoreboard.scoreboard cimport Scoreboard


cdef Chooser chooser_for(Scoreboard scoreboard, list endpoints, list weights, int cluster, bint ejects, dict balance):
    """`endpoints`, with their `weights`, are those of the cluster in that slot of the scoreboard; only if it `ejects` may
    one be out."""
    if "groups" in balance:
        return in_groups(scoreboard, endpoints, weights, cluster, ejects, balance)
    cdef Chooser made = of_algorithm(scoreboard, endpoints, weights, cluster, ejects, balance)
    if "warmup" in balance:
        warm(made, balance["warmup"])
    return made


cdef Chooser of_algorithm(
        Scoreboard scoreboard, list endpoints, list weights, int cluster, bint ejects, dict balance):
    cdef list slots = [endpoint.slot for endpoint in endpoints]
    cdef list addresses
    cdef str algorithm = balance["algorithm"]
    if algorithm == "least_request":
        return LeastRequest(scoreboard, slots, weights, cluster, ejects)
    if algorithm == "random":
        return Random(scoreboard, slots, weights, cluster, ejects)
    if algorithm == "passthrough":  # who is ejected does not matter
        return Random(scoreboard, slots, weights, cluster, False)
    if algorithm in ("ring_hash", "maglev"):
        addresses = [endpoint.name.encode() for endpoint in endpoints]
        if algorithm == "maglev":
            return Maglev(scoreboard, slots, weights, cluster, ejects, addresses, balance["table_size"])
        return RingHash(scoreboard, slots, weights, cluster, ejects, addresses)
    return RoundRobin(scoreboard, slots, weights, cluster, ejects)


cdef Chooser in_groups(
        Scoreboard scoreboard, list endpoints, list weights, int cluster, bint ejects, dict balance):
    """A chooser for each group, and one for the groups."""
    cdef dict groups = balance["groups"], within
    cdef list parts = []
    cdef int first = 0, size
    for size in groups["sizes"]:
        members, last = endpoints[first:first + size], first + size
        within = {name: value for name, value in balance.items() if name != "groups"}
        if "warmup" in within:
            within["warmup"] = within["warmup"] | {"joined_ms": within["warmup"]["joined_ms"][first:last]}
        part = chooser_for(scoreboard, members, weights[first:last], cluster, ejects, within)
        if isinstance(part, RoundRobin):
            (<RoundRobin>part).go_as_group(scoreboard, cluster, len(parts))
        parts.append(part)
        first = last
    by_key = balance["algorithm"] in ("ring_hash", "maglev")
    return Grouped(scoreboard, [], [], cluster, ejects, parts, groups["weights"], by_key)


cdef int warm(Chooser chooser, dict form) except -1:
    """An endpoint that has joined in the future, by a clock that is late, has just joined."""
    cdef int64_t now = monotonic_ns(), wall = time.time_ns()
    joined = [
        now + min(0, ms * 1_000_000 - wall) if ms else 0 for ms in form["joined_ms"]
    ]
    chooser.warm(form["window_ms"], form["least_percent"], form["aggression"], joined)
    return 0

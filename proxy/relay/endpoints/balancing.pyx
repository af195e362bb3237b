"""Which chooser a cluster has, by the algorithm that its part of a snapshot names (proxy/ipc/snapshot.py BalanceForm)."""

from proxy.relay.endpoints.chooser cimport Chooser, RoundRobin
from proxy.relay.endpoints.draws cimport LeastRequest, Random
from proxy.relay.endpoints.hashes cimport Maglev, RingHash
from proxy.scoreboard.scoreboard cimport Scoreboard


cdef Chooser chooser_for(Scoreboard scoreboard, list endpoints, list weights, int cluster, bint ejects, dict balance):
    """`endpoints`, with their `weights`, are those of the cluster in that slot of the scoreboard; only if it `ejects` may
    one be out."""
    cdef list slots = [endpoint.slot for endpoint in endpoints]
    cdef list addresses
    cdef str algorithm = balance["algorithm"]
    if algorithm == "least_request":
        return LeastRequest(scoreboard, slots, weights, cluster, ejects)
    if algorithm == "random":
        return Random(scoreboard, slots, weights, cluster, ejects)
    if algorithm in ("ring_hash", "maglev"):
        addresses = [endpoint.name.encode() for endpoint in endpoints]
        if algorithm == "maglev":
            return Maglev(scoreboard, slots, weights, cluster, ejects, addresses, balance["table_size"])
        return RingHash(scoreboard, slots, weights, cluster, ejects, addresses)
    return RoundRobin(scoreboard, slots, weights, cluster, ejects)

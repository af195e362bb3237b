"""Where a worker counts what becomes of requests, for Istio's metrics.

What a request is counted under are three parties (who asked, which endpoint, which Service) and how it ended. Parties are
objects with a number, kept where they are known from: so the key of a series is two words, and to find its tally (a row
of the scoreboard, scoreboard/series.pyx) is one look into a table of this worker's own. Only a key that it has not had
yet, or whose row was given up, is written as labels and looked for on the scoreboard.

All of it is bounded: a table that is full, and a dictionary of parties, are forgotten and begun anew; numbers are never
given out twice, so nothing is mixed up by that. A peer may say of itself what it likes in its baggage: of one identity so
many sets of that are told apart, and no more.

A client that brings no baggage is looked for by its address among the endpoints that this worker knows. Ztunnels send
some with every tunnel, so the addresses are put together when first a client without any has come.
"""

import logging

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from proxy.scoreboard.atomics cimport wp_loadu
from proxy.scoreboard.layout cimport OF_REQUESTS
from proxy.scoreboard.scoreboard cimport Scoreboard
from proxy.scoreboard.series cimport NOT_NOW

from proxy.observe import series_labels
from proxy.scoreboard.series import LIMIT

log = logging.getLogger("worker")

cdef enum:
    PLACES = 16384              # in the table of this worker; three quarters are used
    MAX_PARTIES = 16384
    MAX_PEERS = 4096
    MAX_BAGGAGES = 256          # of one identity
    MAX_GRPC = 16               # larger numbers mean UNKNOWN (gRPC's statuscodes.md)
    GRPC_UNKNOWN = 2

    PRINCIPAL = 4               # of a source's labels

cdef bytes NO_FLAGS = b"-"
cdef tuple PROTOCOLS = (b"http", b"grpc", b"tcp")


cdef class Party:
    """One side of what is counted. `identified`: its identity is known."""


cdef class Workload:
    """Whose Pod has an address."""


cdef Workload NOBODY = Workload()


cdef class Tallies:
    """One worker's."""

    def __cinit__(self, Scoreboard scoreboard, int worker, str cluster_id, str trust_domain):
        self.series = scoreboard.series
        self.worker = worker
        self.cluster_id, self.trust_domain = cluster_id, trust_domain
        self.parties, self.peers, self.flags, self.callers = {}, {}, {NO_FLAGS: 0}, {}
        self.no_source = self.party(series_labels.NO_SOURCE, False)
        self.no_destination = self.party(series_labels.NO_DESTINATION, False)
        self.no_service = self.party(series_labels.NO_SERVICE, False)
        self.known = <Known*>calloc(PLACES, sizeof(Known))
        if self.known == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.known)

    def trust(self, str trust_domain) -> None:
        """Endpoints' identities are of this trust domain. Whoever keeps parties of endpoints forgets them."""
        self.trust_domain = trust_domain

    # -- series -------------------------------------------------------------------------------------------------------

    cdef Tally* of(self, int kind, int protocol, Party source, Party destination, Party service, int status, int grpc,
                   bytes flags) except NULL:
        """Where that is counted. To be asked each time, and used before anything is waited for."""
        cdef uint64_t parties = <uint64_t>source.number << 32 | <uint64_t>destination.number & 0xffffffffULL
        cdef uint64_t answer = (
            <uint64_t>service.number << 32 | <uint64_t>self.number_of(flags) << 20 | <uint64_t>(status & 0x3ff) << 10
            | <uint64_t>((min(grpc, MAX_GRPC + 1) + 1) << 4) | <uint64_t>(protocol << 2) | <uint64_t>kind)
        cdef uint64_t at = (parties * 0x9E3779B97F4A7C15ULL ^ answer) * 0xC2B2AE3D27D4EB4FULL >> 50
        cdef Known* known = self.known + at
        while known.row != NULL and (known.parties != parties or known.answer != answer):
            at = at + 1 & PLACES - 1
            known = self.known + at
        if known.row != NULL and wp_loadu(&known.row.generation) == known.generation:
            return known.tally
        if known.row == NULL and self.make_room():
            return self.of(kind, protocol, source, destination, service, status, grpc, flags)
        known.parties, known.answer = parties, answer
        return self.look_up(known, kind, protocol, source, destination, service, status, grpc, flags)

    cdef Tally* look_up(self, Known* known, int kind, int protocol, Party source, Party destination, Party service,
                        int status, int grpc, bytes flags) except NULL:
        """Finds its row on the scoreboard; where there is no room, that of its kind, whose generation moves on when there
        is some."""
        cdef list rest = [PROTOCOLS[protocol]]
        cdef int slot
        cdef Tally* tally
        if kind == OF_REQUESTS:
            rest += [b"%d" % status, b"" if grpc < 0 else b"%d" % (grpc if grpc <= MAX_GRPC else GRPC_UNKNOWN)]
        mutual = source.identified and destination.identified
        rest += [flags, series_labels.MUTUAL_TLS if mutual else series_labels.PLAIN]
        slot = self.series.place(
            kind, series_labels.joined(source.labels, destination.labels, service.labels, rest))
        tally = self.series.memory.tally_of(self.worker, slot if slot >= 0 else kind)
        if slot != NOT_NOW:
            known.row = self.series.memory.series_rows + (slot if slot >= 0 else kind)
            known.tally = tally
            known.generation = wp_loadu(&known.row.generation)
        if slot < 0:
            self.tell_overflow(kind)        # which may wait; nothing of `known` is touched any more
        return tally

    def tell_overflow(self, int kind) -> None:
        """What has no room gets a row for all of its kind, and the log is told, once."""
        rest = [series_labels.UNKNOWN] * (5 if kind == OF_REQUESTS else 3)
        labels = series_labels.joined(
            series_labels.NO_SOURCE, series_labels.NO_DESTINATION, series_labels.NO_SERVICE, rest)
        if self.series.overflow(kind, labels):
            log.warning("there are no more than %d series of Istio's metrics: others are counted under `unknown`, "
                        "and in waypointd_metrics_overflowed_total", LIMIT)

    cdef int make_room(self) except -1:
        """For one key more. True: all was forgotten for it."""
        self.count += 1
        if self.count <= PLACES // 4 * 3:
            return False
        memset(self.known, 0, PLACES * sizeof(Known))
        self.count = 0
        return True

    cdef int number_of(self, bytes flags) except -1:
        if flags is NO_FLAGS:
            return 0
        found = self.flags.get(flags)
        if found is None:
            found = self.flags[flags] = len(self.flags)
        return found

    # -- parties ------------------------------------------------------------------------------------------------------

    def find_by_address(self, object all_workloads) -> None:
        """Sources may be looked for by their addresses; `all_workloads` is called before the first one is."""
        self.all_workloads = all_workloads

    cdef int meet(self, bytes address, list profile, str identity, bint fresh) except -1:
        """An endpoint is there, or is described otherwise; `fresh`: it was not there before."""
        cdef Workload found
        cdef bytes bare = address.rpartition(b":")[0]
        if self.workloads is None:
            return 0
        found = self.workloads.get(bare)
        if found is None:
            found = self.workloads[bare] = Workload()
            self.callers.clear()
        found.members += fresh
        if found.profile != profile or found.identity != identity:
            found.profile, found.identity, found.plain, found.identified = profile, identity, None, None
        return 0

    cdef int part(self, bytes address) except -1:
        """An endpoint has gone."""
        cdef Workload found
        cdef bytes bare = address.rpartition(b":")[0]
        found = None if self.workloads is None else self.workloads.get(bare)
        if found is not None:
            found.members -= 1
            if found.members <= 0:
                del self.workloads[bare]
                self.callers.clear()
        return 0

    cdef Party at_address(self, bytes peer, bytes identity):
        """The workload at an address, if it may have that certificate (None: there is none); None: nobody is known. An
        address may have been another Pod's a moment ago."""
        cdef Workload found
        if self.workloads is None:
            if self.all_workloads is None:
                return None
            self.workloads = {}
            self.all_workloads()
        found = self.callers.get(peer)
        if found is None:
            found = self.caller(peer)
        if not found.profile:
            return None
        if identity is None:
            if found.plain is None:
                found.plain = self.party(series_labels.source_at(found.profile, b"", self.cluster_id), False)
            return found.plain
        if not found.identity or not identity.endswith(b"/" + found.identity.encode()):
            return None
        if found.identified is None or found.identified.labels[PRINCIPAL] != identity:
            found.identified = self.party(series_labels.source_at(found.profile, identity, self.cluster_id), True)
        return found.identified

    cdef Workload caller(self, bytes peer):
        """Whose a connection from there is, kept for its next request; one without a profile: nobody's who is known."""
        cdef Workload found = self.workloads.get(peer.rpartition(b":")[0], NOBODY)
        if len(self.callers) >= MAX_PEERS:
            self.callers.clear()
        self.callers[peer] = found
        return found

    cdef Party source(self, Stream client):
        """Who asks."""
        cdef dict by_baggage
        cdef Party known
        if client.baggage is None:
            known = self.at_address(client.peer, client.identity)
            if known is not None:
                return known
            if client.identity is None:
                return self.no_source
        by_baggage = self.peers.get(client.identity)
        if by_baggage is not None:
            found = by_baggage.get(client.baggage)
            if found is not None:
                return <Party>found
        return self.peer(client.identity, client.baggage)

    cdef Party peer(self, bytes identity, bytes baggage):
        """One that was not known."""
        cdef dict by_baggage
        cdef Party found
        if len(self.peers) >= MAX_PEERS:
            self.peers.clear()
        by_baggage = self.peers.setdefault(identity, {})
        if len(by_baggage) >= MAX_BAGGAGES:
            baggage = None
        found = self.party(series_labels.source_of(identity or b"", baggage or b""), bool(identity))
        by_baggage[baggage] = found
        return found

    cdef Party destination(self, list profile, str identity):
        """An endpoint, as a snapshot describes it."""
        labels = series_labels.destination_of(profile, identity, self.trust_domain, self.cluster_id)
        return self.party(labels, bool(identity))

    cdef Party service(self, str cluster, bytes host):
        """A Service's port."""
        return self.party(series_labels.service_of(cluster, host), False)

    cdef Party party(self, tuple labels, bint identified):
        cdef Party found = self.parties.get(labels)
        if found is None:
            if len(self.parties) >= MAX_PARTIES:
                self.parties.clear()
            found = self.parties[labels] = Party()
            self.numbers += 1
            found.number, found.labels, found.identified = self.numbers, labels, identified
        return found

# Where a worker counts what becomes of requests; theory in tallies.pyx.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from proxy.scoreboard.layout cimport SeriesRow, Tally
from proxy.scoreboard.series cimport SeriesTable
from proxy.wire.stream cimport Stream

cdef enum:                       # request_protocol
    AS_HTTP, AS_GRPC, AS_TCP

cdef bytes NO_FLAGS              # those of what went well, in the log too

cdef class Party:
    cdef readonly int64_t number
    cdef readonly tuple labels
    cdef bint identified

cdef class Workload:             # one that is known by its address
    cdef int members             # so many endpoints are at that
    cdef list profile            # as ipc.snapshot has it
    cdef str identity            # "ns/NS/sa/SA", or ""
    cdef Party plain, identified # as a source, without a certificate and with its own; None: not counted yet

cdef struct Known:               # a series that this worker has counted before
    uint64_t parties, answer     # the key; 0, 0: nothing
    SeriesRow* row
    Tally* tally
    uint32_t generation

cdef class Tallies:
    cdef SeriesTable series
    cdef int worker
    cdef readonly str cluster_id
    cdef readonly str trust_domain
    cdef dict parties            # labels -> Party
    cdef dict peers              # identity -> {baggage: Party}
    cdef int64_t numbers
    cdef dict flags              # response flags -> their number in keys
    cdef dict workloads          # address without port -> Workload; None: nobody was looked for yet
    cdef dict callers            # address with port -> Workload, of connections that have asked
    cdef object all_workloads    # puts all that there are there, once somebody is; None: nobody can
    cdef Party no_source
    cdef readonly Party no_destination, no_service
    cdef Known* known
    cdef Py_ssize_t count

    cdef Tally* of(self, int kind, int protocol, Party source, Party destination, Party service, int status, int grpc,
                   bytes flags) except NULL
    cdef Tally* look_up(self, Known* known, int kind, int protocol, Party source, Party destination, Party service,
                        int status, int grpc, bytes flags) except NULL
    cdef int make_room(self) except -1
    cdef int number_of(self, bytes flags) except -1
    cdef Party source(self, Stream client)
    cdef Party peer(self, bytes identity, bytes baggage)
    cdef Party at_address(self, bytes peer, bytes identity)
    cdef Workload caller(self, bytes peer)
    cdef int meet(self, bytes address, list profile, str identity, bint fresh) except -1
    cdef int part(self, bytes address) except -1
    cdef Party destination(self, list profile, str identity)
    cdef Party service(self, str cluster, bytes host)
    cdef Party party(self, tuple labels, bint identified)

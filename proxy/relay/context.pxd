# What all exchanges of a worker share; see context.pyx.
from libc.stdint cimport int64_t, uint64_t

from proxy.observe.access_log cimport AccessLog
from proxy.relay.endpoints.trunk cimport Yard
from proxy.scoreboard.layout cimport WorkerRow
from proxy.scoreboard.scoreboard cimport Scoreboard
from proxy.wire.stream cimport Deadlines

cdef class Context:
    cdef readonly Scoreboard scoreboard
    cdef readonly int worker
    cdef WorkerRow* row
    cdef readonly AccessLog log
    cdef readonly object fleet
    cdef readonly Deadlines idle, head, stall, linger, tunnel, endpoint_idle
    cdef readonly Yard yard              # the worker's connections that carry many streams to endpoints
    cdef readonly double stall_seconds
    cdef readonly Deadlines patience, detection
    cdef readonly double head_seconds
    cdef public bint draining
    cdef public bint tunnels             # captured endpoints are reached by HBONE; else in clear text
    cdef public object mesh              # MeshTls; None: no certificates, so no HBONE
    cdef readonly set sessions           # HTTP/2 connections of clients, to be told of a drain
    cdef char* scratch               # HEAD_ROOM bytes; overwritten by whoever runs next
    cdef char date_line[64]
    cdef int64_t date_second
    cdef uint64_t random[4]

    cdef const char* date(self) noexcept
    cdef uint64_t next_random(self) noexcept
    cdef void make_request_id(self, char* out) noexcept

cdef int64_t wall_ns() noexcept

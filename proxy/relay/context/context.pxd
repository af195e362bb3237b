# What all exchanges of a worker share; see context.pyx.
from proxy.observe.access_log cimport AccessLog
from proxy.relay.context.date cimport Date
from proxy.relay.context.drain cimport Drain
from proxy.relay.context.request_ids cimport RequestIds
from proxy.relay.context.tallies cimport Tallies
from proxy.relay.context.timeouts cimport Timeouts
from proxy.relay.context.unread cimport Unread
from proxy.scoreboard.layout cimport WorkerRow
from proxy.scoreboard.scoreboard cimport Scoreboard

cdef class Context:
    cdef readonly Scoreboard scoreboard
    cdef readonly int worker
    cdef WorkerRow* row
    cdef readonly AccessLog log
    cdef readonly object fleet
    cdef readonly Timeouts timeouts
    cdef readonly Drain drain
    cdef public Tallies tallies          # None: nothing is counted for Istio's metrics
    cdef public object nudge             # tells another worker to look after those who wait; None: there are no others
    cdef Unread unread
    cdef Date date
    cdef RequestIds request_ids
    cdef int normalization               # of paths: policy's Normalization
    cdef public bint tunnels             # captured endpoints are reached by HBONE; else in clear text
    cdef public object mesh              # MeshTls; None: no certificates, so no HBONE
    cdef char* scratch                   # HEAD_ROOM bytes; overwritten by whoever runs next

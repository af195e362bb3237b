# HBONE connections; theory in hbone.pyx.
from libc.stdint cimport int64_t

from proxy.relay.cluster cimport Cluster
from proxy.relay.relay cimport Listener, Relay
from proxy.wire.session cimport Session
from proxy.wire.tunnel cimport Tunnel

cdef class HboneListener(Listener):
    cdef readonly object refusals       # proxy.relay.refusals.Refusals

cdef class HboneConnection(Session):
    cdef HboneListener listener
    cdef Relay relay
    cdef int serving                    # tunnels that have a greenlet
    cdef int64_t idle_since             # when the last tunnel ended; 0: there is one

    cdef object answer(self, Tunnel tunnel)

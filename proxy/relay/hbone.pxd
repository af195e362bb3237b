# HBONE connections; theory in hbone.pyx.
from proxy.relay.relay cimport Listener, Relay
from proxy.wire.http2.session cimport Session
from proxy.wire.http2.tunnel cimport Tunnel

cdef class HboneListener(Listener):
    cdef readonly object refusals       # proxy.observe.refusals.Refusals

cdef class HboneConnection(Session):
    cdef HboneListener listener
    cdef Relay relay

    cdef object answer(self, Tunnel tunnel)
    cdef bint serve_tunnel(self, Tunnel tunnel, bint rested) except -1

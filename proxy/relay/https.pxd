# Clients' TLS at a listener; theory in https.pyx.
from proxy.relay.relay cimport Entrance, Listener
from proxy.relay.routes cimport Routes
from proxy.wire.tls.serving cimport ServedStream, ServingNames

cdef class HttpsListener(Listener):
    cdef ServingNames names
    cdef dict sections                  # hostname -> Section
    cdef readonly object refusals       # proxy.observe.refusals.Refusals

    cdef bint serve_section(self, ServedStream client, bint rested) except -1

cdef class Section(Entrance):
    cdef bytes hostname

cdef class SectionRoutes(Routes):
    cdef Routes whole
    cdef ServingNames names
    cdef bytes hostname

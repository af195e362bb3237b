# TLS of clients at a Gateway's own listeners; theory in serving.pyx.
from proxy.wire.stream cimport Stream
from proxy.wire.tls.openssl cimport SSL, SSL_CTX
from proxy.wire.tls.secured cimport SecuredStream

cdef class ServingContext:
    cdef SSL_CTX* raw

cdef class ServingNames:
    cdef SSL_CTX* raw                    # has no certificate: the client's name decides
    cdef dict served                     # hostname, lower case -> [ServingContext]
    cdef readonly object hostnames       # of `served`

    cdef SSL* begin(self, ServedStream stream) except NULL
    cdef bytes covering(self, bytes host)
    cdef ServingContext chosen(self, bytes hostname, bytes name)

cdef class ServedStream(SecuredStream):
    cdef ServingNames names
    cdef bytes hostname                  # of the listener that it belongs to; None: not known yet

cdef ServedStream accept_served(Stream under, ServingNames names, double seconds)

# What TLS to an endpoint is made with; theory in origin.pyx.
from proxy.wire.tls.openssl cimport SSL, SSL_CTX

cdef enum Alpn:                  # what TLS offers to speak inside
    NOTHING_NAMED, HTTP1, HTTP1_OR_2

cdef class OriginContext:
    cdef SSL_CTX* raw
    cdef readonly bint verifies

cdef class Origination:
    cdef readonly OriginContext context  # None: there is none that could be used ...
    cdef readonly str problem            # ... and why
    cdef readonly dict form
    cdef bytes sni
    cdef list names

    cdef SSL* begin(self, int alpn) except NULL

# TLS of the mesh in OpenSSL's terms; theory in context.pyx.
from proxy.wire.tls.openssl cimport BIO, SSL, SSL_CTX

cdef class TlsContext:
    cdef SSL_CTX* raw
    cdef readonly bint server
    cdef SSL* begin(self) except NULL

cdef class TlsEnd:
    cdef SSL* raw
    cdef BIO* arriving
    cdef BIO* leaving

cdef object error_of(SSL* tls, int result, int error_number)
cdef list peer_uris(SSL* tls)
cdef str chosen_protocol(SSL* tls)

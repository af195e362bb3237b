# TLS of the mesh in OpenSSL's terms; theory in context.pyx.
from proxy.wire.tls.openssl cimport BIO, SSL, SSL_CTX, X509

cdef class TlsContext:
    cdef SSL_CTX* raw
    cdef readonly bint server
    cdef SSL* begin(self) except NULL

cdef class TlsEnd:
    cdef SSL* raw
    cdef BIO* arriving
    cdef BIO* leaving

cdef int trust(SSL_CTX* raw, bytes roots) except -1
cdef int use_chain(SSL_CTX* raw, bytes chain) except -1
cdef int use_key(SSL_CTX* raw, bytes key) except -1
cdef BIO* opened(bytes content) except NULL

cdef object error_of(SSL* tls, int result, int error_number)
cdef list uris_in(X509* certificate)
cdef list peer_uris(SSL* tls)
cdef str chosen_protocol(SSL* tls)

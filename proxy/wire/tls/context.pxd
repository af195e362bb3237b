# TLS of the mesh in OpenSSL's terms; theory in context.pyx.
from proxy.wire.tls.openssl cimport BIO, BIO_METHOD, SSL, SSL_CTX, X509

cdef class TlsContext:
    cdef SSL_CTX* raw
    cdef readonly bint server
    cdef SSL* begin(self) except NULL

cdef class TlsEnd:
    cdef SSL* raw
    cdef BIO* arriving
    cdef BIO* leaving

cdef int trust(SSL_CTX* raw, bytes roots) except -1
cdef int read_all(SSL_CTX* raw, bytes content, bint (*read_one)(SSL_CTX*, BIO*) noexcept) except -1
cdef int use_chain(SSL_CTX* raw, bytes chain) except -1
cdef int use_key(SSL_CTX* raw, bytes key) except -1
cdef BIO* opened(bytes content) except NULL

cdef object error_of(SSL* tls, int result, int error_number)
cdef list uris_in(X509* certificate)
cdef list peer_uris(SSL* tls)
cdef str chosen_protocol(SSL* tls)

cdef BIO_METHOD* make_transport(
    const char* name, int (*read)(BIO*, char*, int) noexcept, int (*write)(BIO*, const char*, int) noexcept,
    long (*control)(BIO*, int, long, void*) noexcept) except NULL
cdef int put_over(SSL* tls, BIO_METHOD* transport, void* stream) except -1

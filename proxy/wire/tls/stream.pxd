# TLS over TCP sockets as streams; theory in stream.pyx.
from proxy.wire.tls.openssl cimport SSL
from proxy.wire.address cimport Address
from proxy.wire.tcp cimport TcpStream
from proxy.wire.tls.context cimport TlsContext
from proxy.wire.stream cimport RAISED

cdef class TlsStream(TcpStream):
    cdef SSL* tls
    cdef readonly str reason            # why the peer is refused, "" if it is not
    cdef bint ended                     # the transport has no more to give
    cdef bint more_follows              # this write is not the last of its turn

    cdef int wrap(self, TlsContext context) except -1
    cdef int shake_hands(self, double seconds) except? RAISED
    cdef int advance(self, double seconds) except? RAISED
    cdef bint receive(self) noexcept
    cdef Py_ssize_t decrypt(self) except? RAISED
    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t length, bint more_follows) noexcept
    cdef int read_ended(self, int kind) except -1

cdef int accept_tls(TlsStream stream, object mesh, double seconds) except -1
cdef TlsStream connect_tls(
    Address address, object mesh, str expected, double seconds, double stall_seconds, int* error, list reason)

# TLS over TCP sockets as streams; theory in tls.pyx.
from proxy.wire.tcp cimport Address, TcpStream

cdef class TlsStream(TcpStream):
    cdef object tls                     # the C object under an ssl.SSLSocket
    cdef object socket                  # the descriptor as it wants to have it; not the owner
    cdef object read_into, write_from   # its bound methods
    cdef readonly str reason            # why the peer is refused, "" if it is not

    cdef int wrap(self, object context, bint server) except -1
    cdef int shake_hands(self, double seconds) except? -100
    cdef Py_ssize_t read_some(self) except? -100

cdef TlsStream accept_tls(int fd, object mesh, double seconds, double stall_seconds)
cdef TlsStream connect_tls(
    Address address, object mesh, str expected, double seconds, double stall_seconds, int* error, list reason)

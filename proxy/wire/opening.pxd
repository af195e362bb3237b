# How sockets become streams; theory in opening.pyx.
from proxy.wire.address cimport Address, sockaddr_storage
from proxy.wire.stream cimport RAISED
from proxy.wire.tcp cimport TcpStream

cdef int accept_one(int listener, sockaddr_storage* peer) noexcept nogil
cdef bytes common_local(int listener)
cdef bytes peer_of(int fd)
cdef int take_over(TcpStream stream, int fd, bytes local, bytes peer, double stall_seconds) except -1
cdef TcpStream connect(Address address, double seconds, double stall_seconds, int* error)
cdef int connect_stream(
    TcpStream stream, Address address, double seconds, double stall_seconds, int* error) except? RAISED

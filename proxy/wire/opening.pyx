"""Sockets that become streams: those that are accepted, and those that are connected.

What is accepted costs as few system calls as there can be. Its options are its listening socket's, which it inherits
(proxy/arbiter/listening.py); who the peer is comes with it; and the name of our end is the listening socket's, unless
that takes connections to any address of the machine.
"""

from libc.errno cimport EINPROGRESS, ETIMEDOUT, errno
from libc.stdint cimport int64_t

from proxy.wire.address cimport Address, address_text, is_any, sockaddr, sockaddr_storage, socklen_t
from proxy.wire.sockets cimport *
from proxy.wire.stream cimport FAILED, RAISED, TIMED_OUT

# A quiet endpoint's host is asked after so many seconds, again every so many, and given up when so many stay unanswered.
# The kernel asks, and the kernel there answers: no server can mind, whatever it speaks.
cdef int KEEP_IDLE = 30
cdef int KEEP_INTERVAL = 10
cdef int KEEP_COUNT = 3

# What the kernel holds for a peer besides what is on its way to it: who does not read costs no more than that. As of
# the listening sockets.
cdef int UNSENT = 1048576


# -- accepted ---------------------------------------------------------------------------------------------------------


cdef int accept_one(int listener, sockaddr_storage* peer) noexcept nogil:
    """The descriptor of the next connection that waits, non-blocking, and whose it is; or -1 with errno."""
    cdef socklen_t length = sizeof(sockaddr_storage)
    return accept4(listener, <sockaddr*>peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC)


cdef bytes common_local(int listener):
    """What all that the listening socket accepts have as their own address; None: each must be asked."""
    cdef sockaddr_storage raw
    cdef socklen_t length = sizeof(raw)
    if getsockname(listener, <sockaddr*>&raw, &length) < 0 or is_any(&raw):
        return None
    return address_text(&raw)


cdef bytes local_of(int fd):
    cdef sockaddr_storage raw
    cdef socklen_t length = sizeof(raw)
    return address_text(&raw) if getsockname(fd, <sockaddr*>&raw, &length) == 0 else b"-"


cdef bytes peer_of(int fd):
    """"ip:port" of the other end; "-" if it has gone."""
    cdef sockaddr_storage raw
    cdef socklen_t length = sizeof(raw)
    return address_text(&raw) if getpeername(fd, <sockaddr*>&raw, &length) == 0 else b"-"


cdef int take_over(TcpStream stream, int fd, bytes local, bytes peer, double stall_seconds) except -1:
    """Makes a fresh stream one of an accepted connection, of which something may have come already; it owns the descriptor
    from now on. `local` None: it is to be asked."""
    stream.fd = fd
    stream.stall_ns = <int64_t>(stall_seconds * 1e9)
    stream.local = local_of(fd) if local is None else local
    stream.peer = peer
    stream.more = True
    return 0


# -- connected --------------------------------------------------------------------------------------------------------


cdef TcpStream connect(Address address, double seconds, double stall_seconds, int* error):
    """A new connection, or None with the errno in `error` (ETIMEDOUT when `seconds` have passed)."""
    cdef TcpStream stream = TcpStream()
    return stream if connect_stream(stream, address, seconds, stall_seconds, error) == 0 else None


cdef int connect_stream(
        TcpStream stream, Address address, double seconds, double stall_seconds, int* error) except? RAISED:
    """Connects a fresh stream: 0, or FAILED with the errno."""
    cdef int code = 0
    cdef int waited
    cdef socklen_t length = sizeof(code)
    cdef int fd = c_socket(address.raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    error[0] = 0
    if fd < 0:
        error[0] = errno
        return FAILED
    stream.fd = fd
    if c_connect(fd, <sockaddr*>&address.raw, address.length) < 0:
        error[0] = errno
        if errno == EINPROGRESS:
            waited = stream.wait_writable(seconds)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length)
            error[0] = ETIMEDOUT if waited == TIMED_OUT else code
        if error[0]:
            stream.close()
            return FAILED
    stream.stall_ns = <int64_t>(stall_seconds * 1e9)
    set_options(fd)
    stream.local, stream.peer = local_of(fd), address.text
    return 0


cdef void set_options(int fd) noexcept:
    cdef int on = 1
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &UNSENT, sizeof(int))
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on))
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &KEEP_IDLE, sizeof(int))
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &KEEP_INTERVAL, sizeof(int))
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &KEEP_COUNT, sizeof(int))

# What the system has for sockets (socket(7), tcp(7)).
from libc.stdint cimport uint32_t

from proxy.wire.address cimport sockaddr, socklen_t

cdef extern from "sys/socket.h" nogil:
    int SOCK_STREAM
    int SOCK_NONBLOCK
    int SOCK_CLOEXEC
    int SOL_SOCKET
    int SO_ERROR
    int SO_KEEPALIVE
    int SO_LINGER
    struct linger:
        int l_onoff
        int l_linger
    int SHUT_WR
    int MSG_PEEK
    int MSG_DONTWAIT
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        iovec* msg_iov
        size_t msg_iovlen
    ssize_t sendmsg(int, const msghdr*, int)
    int c_socket "socket"(int, int, int)
    int c_connect "connect"(int, const sockaddr*, socklen_t)
    int accept4(int, sockaddr*, socklen_t*, int)
    int getsockname(int, sockaddr*, socklen_t*)
    int getpeername(int, sockaddr*, socklen_t*)
    int getsockopt(int, int, int, void*, socklen_t*)
    int setsockopt(int, int, int, const void*, socklen_t)
    int shutdown(int, int)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "netinet/tcp.h" nogil:
    int TCP_NODELAY
    int TCP_NOTSENT_LOWAT
    int TCP_KEEPIDLE
    int TCP_KEEPINTVL
    int TCP_KEEPCNT
    int TCP_INFO
    struct tcp_info:
        uint32_t tcpi_unacked
        uint32_t tcpi_last_ack_recv     # ms ago

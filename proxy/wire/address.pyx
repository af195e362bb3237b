"""IP addresses and ports, as the kernel takes them and as the log shows them."""

from libc.stdio cimport snprintf
from libc.string cimport memset

cdef extern from "sys/socket.h" nogil:
    int AF_INET
    int AF_INET6
cdef extern from "netinet/in.h" nogil:
    struct in_addr:
        pass
    struct in6_addr:
        unsigned char s6_addr[16]
    struct sockaddr_in:
        sa_family_t sin_family
        unsigned short sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        unsigned short sin6_port
        in6_addr sin6_addr
    unsigned short ntohs(unsigned short)
    unsigned short htons(unsigned short)
cdef extern from "arpa/inet.h" nogil:
    const char* inet_ntop(int, const void*, char*, socklen_t)
    int inet_pton(int, const char*, void*)


cdef class Address:
    """An IP address and port, ready for the kernel and for the log. ValueError if `ip` is none."""

    def __init__(self, str ip, int port):
        cdef sockaddr_in* v4 = <sockaddr_in*>&self.raw
        cdef sockaddr_in6* v6 = <sockaddr_in6*>&self.raw
        cdef bytes raw_ip = ip.encode()
        memset(&self.raw, 0, sizeof(self.raw))
        if inet_pton(AF_INET, raw_ip, &v4.sin_addr) == 1:
            v4.sin_family = AF_INET
            v4.sin_port = htons(port)
            self.length = sizeof(sockaddr_in)
        elif inet_pton(AF_INET6, raw_ip, &v6.sin6_addr) == 1:
            v6.sin6_family = AF_INET6
            v6.sin6_port = htons(port)
            self.length = sizeof(sockaddr_in6)
        else:
            raise ValueError("not an IP address: %r" % ip)
        self.text = address_text(&self.raw)


cdef bytes address_text(sockaddr_storage* raw):
    """`ip:port`, IPv6 in brackets, an IPv4 address in IPv6 clothes as IPv4."""
    cdef char[64] ip
    cdef char[80] text
    cdef sockaddr_in* v4 = <sockaddr_in*>raw
    cdef sockaddr_in6* v6 = <sockaddr_in6*>raw
    if raw.ss_family == AF_INET:
        return text[:write_v4(text, <const unsigned char*>&v4.sin_addr, ntohs(v4.sin_port))]
    if raw.ss_family == AF_INET6 and v6.sin6_addr.s6_addr[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], ip, sizeof(ip))
        snprintf(text, sizeof(text), b"%s:%u", ip, <unsigned>ntohs(v6.sin6_port))
    elif raw.ss_family == AF_INET6:
        inet_ntop(AF_INET6, &v6.sin6_addr, ip, sizeof(ip))
        snprintf(text, sizeof(text), b"[%s]:%u", ip, <unsigned>ntohs(v6.sin6_port))
    else:
        return b"-"
    return <bytes>text


cdef int write_v4(char* out, const unsigned char* ip, unsigned port) noexcept:
    """How long it is. By hand, since each connection has one, and the library's formats take longer than its accept4."""
    cdef int length = 0, part
    for part in range(4):
        length += write_number(out + length, ip[part])
        out[length] = c":" if part == 3 else c"."
        length += 1
    return length + write_number(out + length, port)


cdef int write_number(char* out, unsigned number) noexcept:
    cdef int length = 1, at
    cdef unsigned left = number
    while left >= 10:
        left //= 10
        length += 1
    for at in range(length - 1, -1, -1):
        out[at] = <char>(c"0" + number % 10)
        number //= 10
    return length


cdef bint is_any(sockaddr_storage* raw) noexcept:
    """Whether it stands for every address of the machine."""
    cdef const unsigned char* ip = <const unsigned char*>&(<sockaddr_in*>raw).sin_addr
    cdef Py_ssize_t at, length = sizeof(in_addr)
    if raw.ss_family == AF_INET6:
        ip, length = (<sockaddr_in6*>raw).sin6_addr.s6_addr, sizeof(in6_addr)
    for at in range(length):
        if ip[at]:
            return False
    return True

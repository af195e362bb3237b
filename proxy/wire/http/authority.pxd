# host[:port] as in Host and in targets (RFC 9110 7.2, RFC 3986 3.2); userinfo is refused (RFC 9110 4.2.4). A colon
# without a port behind it is a port left out (RFC 3986 3.2.3).
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr, memcpy

from proxy.wire.http.octets cimport DIGIT, REG_NAME, is_a

cdef extern from "arpa/inet.h" nogil:
    int AF_INET6
    int inet_pton(int family, const char* text, void* address)

cdef enum:
    MAX_IPV6 = 45


cdef inline bint is_port(const char* text, uint32_t length) noexcept nogil:
    """1 to 5 digits, at most 65535."""
    cdef uint32_t index, port = 0
    if length < 1 or length > 5:
        return False
    for index in range(length):
        if not is_a(text[index], DIGIT):
            return False
        port = port * 10 + <uint32_t>(text[index] - c"0")
    return port <= 65535


cdef inline bint is_ipv6(const char* text, uint32_t length) noexcept nogil:
    cdef char[MAX_IPV6 + 1] copy
    cdef uint8_t[16] address
    if length > MAX_IPV6 or memchr(text, 0, length) != NULL:
        return False
    memcpy(copy, text, length)
    copy[length] = 0
    return inet_pton(AF_INET6, copy, address) == 1


cdef inline bint is_authority(const char* text, uint32_t length, bint need_port) noexcept nogil:
    """Whether it is a host (name, IPv4 or bracketed IPv6) with a port, which may be left out or be empty unless
    needed."""
    cdef const char* bracket
    cdef uint32_t host = 0
    if length > 0 and text[0] == c"[":
        bracket = <const char*>memchr(text, c"]", length)
        if bracket == NULL or not is_ipv6(text + 1, <uint32_t>(bracket - text) - 1):
            return False
        host = <uint32_t>(bracket - text) + 1
    else:
        while host < length and is_a(text[host], REG_NAME):
            host += 1
    if host == 0:
        return False
    if host == length:
        return not need_port
    if text[host] != c":":
        return False
    return not need_port if host + 1 == length else is_port(text + host + 1, length - host - 1)

# IP addresses and ports, for the kernel and for the log.
cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    struct sockaddr_storage:
        sa_family_t ss_family

cdef class Address:
    cdef sockaddr_storage raw
    cdef socklen_t length
    cdef readonly bytes text            # "10.0.0.1:80", "[fd00::1]:80"

cdef bytes address_text(sockaddr_storage* raw)
cdef bint is_any(sockaddr_storage* raw) noexcept

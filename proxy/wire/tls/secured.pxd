# TLS over any byte stream; theory in secured.pyx.
from proxy.wire.stream cimport RAISED, IdleListener, Stream
from proxy.wire.tls.openssl cimport SSL
from proxy.wire.tls.origin cimport Origination
from proxy.wire.tls.sealed cimport SealedStream

cdef class SecuredStream(SealedStream):
    cdef IdleListener ear               # of `under`, while nobody reads
    cdef bint refused                   # the peer has refused us before it said anything inside
    cdef readonly str reason            # what was wrong, "" if nothing was

    cdef int wrap(self, Stream under, Origination origination, int alpn) except -1
    cdef int put_on(self, Stream under, SSL* tls) except -1
    cdef int shake_hands(self, double seconds) except? RAISED
    cdef int note_end(self, Py_ssize_t got) except -1
    cdef int advance(self) except? RAISED
    cdef str protocol(self)
    cdef Py_ssize_t decrypt(self) except? RAISED
    cdef int read_ended(self, int kind) except -1
    cdef int state(self) noexcept

cdef SecuredStream secure(Stream under, Origination origination, int alpn, double seconds, list reasons)

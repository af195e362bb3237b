# Connections that carry many streams to one place; theory in trunk.pyx.
from libc.stdint cimport int64_t, uint32_t

from proxy.relay.context.context cimport Context
from proxy.relay.endpoints.breaker cimport Breaker
from proxy.wire.http2.session cimport Session

cdef int64_t CROWDED_NS

cdef class Trunk:
    cdef readonly Session session
    cdef Trunks home
    cdef object certificate          # what its TLS was made with
    cdef int64_t begun               # when it was dialled
    cdef int64_t empty_since         # 0: it carries something

    cdef int tidy(self, bint wanted) except -1

cdef class Dialer:
    cdef object certificate          # trunks made with another one are not wanted any more
    cdef int error                   # why there is none: an errno, ...
    cdef list reasons                # ... and what else there is to say

    cdef Session dial(self, double seconds)

cdef class Trunks:
    cdef Connections connections
    cdef object key
    cdef list open
    cdef object opening              # while one is made: what comes of it, for those who wait
    cdef int users                   # endpoints of the snapshot that go this way
    cdef Breaker breaker             # of the cluster that the place is part of; None: of none
    cdef uint32_t most_streams       # what the peer said last of one connection; 0: nothing yet

    cdef Session take(self, object certificate, int64_t since)
    cdef Session get(self, Dialer dialer, int64_t deadline, int64_t since)
    cdef Session make(self, Dialer dialer, double seconds)
    cdef int drain_one(self) except -1
    cdef int end_drained(self) except -1
    cdef int end_idle(self) except -1
    cdef bint may_carry_more(self, Trunk trunk) noexcept
    cdef Session add(self, Session session, object certificate, int64_t begun)

cdef class Connections:
    cdef dict places
    cdef set trunks
    cdef readonly int64_t idle_ns
    cdef int64_t swept
    cdef dict breakers               # by their cluster's slot

    cdef Trunks place(self, object key)
    cdef Breaker breaker(self, Context context, int slot)
    cdef int leave(self, Trunks trunks) except -1

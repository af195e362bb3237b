"""The decisions of proxy/policy as they are compiled, called with the shapes that the interpreted ones take."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from proxy.policy.balance cimport round_robin as balance
from proxy.policy.facts cimport View


def round_robin(int last, view) -> int:
    cdef View facts
    cdef int32_t* members = numbers(view.members)
    cdef int32_t* rank = numbers(view.rank)
    cdef bytes tried = bytes(view.tried)
    facts.count, facts.present = view.count, view.present
    facts.members, facts.rank, facts.tried = members, rank, <const unsigned char*>tried
    try:
        return balance.round_robin(last, &facts)
    finally:
        free(members)
        free(rank)


cdef int32_t* numbers(values) except NULL:
    cdef int32_t* made = <int32_t*>malloc((len(values) + 1) * sizeof(int32_t))
    if made == NULL:
        raise MemoryError
    for at, value in enumerate(values):
        made[at] = value
    return made

# Who gets in to a cluster; theory in gate.pyx.
from libc.stdint cimport uint8_t

from proxy.policy.facts cimport Access, Part, Term, Value
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.relay.routing.lines cimport Lines
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream

cdef class Gate:
    cdef Access access
    cdef Part* rules                     # its arrays
    cdef Part* clauses
    cdef Part* alternatives
    cdef Term* terms
    cdef Value* values
    cdef list kept                       # what the values' texts point into
    cdef list names                      # of the rules, for the log
    cdef list headers                    # names that values are of, by number
    cdef readonly list claims            # the same of claims
    cdef Lines lines                     # None: no value is of a header
    cdef int port
    cdef bint by_path, by_source, by_destination

    cdef bytes refuses(self, Head head, Stream client, Verdict token)

cdef int address_of(const char* text, Py_ssize_t length, uint8_t* octets) noexcept

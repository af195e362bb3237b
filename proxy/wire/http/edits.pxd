# What is changed of a head's fields on its way; rules in edits.pyx.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from proxy.wire.http.head cimport Field

cdef enum:
    MOST_LINES = 64             # that may be put into one head, and ...
    EDIT_ROOM = 16384           # ... how long they may be together

cdef enum Own:                  # lines that we write ourselves, unless an edit names them
    OWN_PROTO = 1
    OWN_REQUEST_ID = 2
    OWN_DATE = 4
    OWN_SERVER = 8
    OWN_SERVICE_TIME = 16


cdef struct Name:
    const char* text            # in lower case
    uint32_t length


@cython.final
cdef class Edits:
    cdef readonly bytes host    # in place of the request's; None: as it came
    cdef readonly bytes lines   # what comes behind the fields that stay, each with its end
    cdef readonly frozenset gone
    cdef Name* names            # of fields that do not go on
    cdef int count
    cdef uint64_t lengths       # of these names, a bit each
    cdef int named              # Own

    cdef bytes kept(self, bytes text)
    cdef bint drops(self, const char* text, const Field* field) noexcept

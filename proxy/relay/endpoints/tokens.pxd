# Tokens of the requests for one cluster; theory in tokens.pyx.
from libc.stdint cimport int64_t

from proxy.relay.endpoints.verdict cimport Verdict
from proxy.wire.http.head cimport Head
from proxy.wire.stream cimport Stream

cdef class TokenCache:
    cdef object known                   # verdicts by rule and token, the one used last at the end
    cdef readonly Py_ssize_t size       # octets, about
    cdef readonly int64_t taken         # requests with a good token ...
    cdef readonly int64_t refused       # ... and with none that is
    cdef readonly int64_t missed        # tokens of keys that nobody knew

    cdef Verdict get(self, tuple key, double now)
    cdef int put(self, tuple key, Verdict verdict) except -1

cdef class TokenRule:
    cdef object expected
    cdef str source                     # of its keys
    cdef tuple keys                     # (): not known
    cdef list places
    cdef bint fetched                   # they can be again
    cdef bint forward, required
    cdef bytes payload                  # the header that it goes into, or b""
    cdef list headers                   # and those that claims go into: name and path
    cdef list spaced
    cdef list asked                     # claims that access rules ask for

    cdef list found(self, Head head, const char* text)
    cdef Verdict verify(self, bytes text, double now)
    cdef list told(self, object token)

cdef class Tokens:
    cdef readonly list form
    cdef list asked, rules, outputs
    cdef TokenCache cache

    cdef Verdict judge(self, Head head, Stream client, double now)
    cdef Verdict judge_by_rules(self, Head head, Stream client, double now)
    cdef Verdict judge_all(self, TokenRule rule, list found, double now)

# What has come of a request's token; theory in verdict.pyx.
from proxy.policy.facts cimport Line

cdef class Verdict:
    cdef readonly str refusal           # why the request is refused, None: it is not
    cdef readonly int status            # ... and with what
    cdef readonly double until          # s since 1970 until which it holds
    cdef readonly Py_ssize_t size       # about so many octets
    cdef readonly list fields           # what endpoints are told: name and value of each header
    cdef readonly bytes lines           # the same as they are sent; None: nothing
    cdef list kept                      # what `claims` point into
    cdef Line* claims                   # values of the claims that access rules ask for
    cdef int claim_count

    cdef int put_claims(self, list found) except -1

cdef Verdict NOTHING                    # there is no token

cdef Verdict refused(str text, int status, double until)
cdef Verdict joined(list verdicts)

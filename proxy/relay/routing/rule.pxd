# What is done with a request that a rule is for; theory in rule.pyx.
from libc.stdint cimport int64_t

from proxy.policy.facts cimport RetryRule, Split
from proxy.relay.routing.effects cimport Effects
from proxy.relay.routing.rewriting cimport PathChange, Redirect
from proxy.wire.http.edits cimport Edits

cdef class Backend:
    cdef readonly str cluster           # its name; "": there is none
    cdef readonly int status            # for who is sent where there is none
    cdef Edits request, answer          # of heads, the rule's among them; None: nothing
    cdef PathChange path                # None: it stays
    cdef Redirect redirect              # instead of going there, or None

cdef class Rule:
    cdef readonly bytes name
    cdef readonly dict form             # all that it was made from
    cdef readonly str problem           # why it cannot be kept: its requests are answered 500; "": it can
    cdef readonly list backends
    cdef Split split
    cdef int64_t* weights
    cdef Edits answer                   # of answers of ours where there is no backend
    cdef Redirect redirect              # instead of any backend, or None
    cdef readonly dict direct           # the answer that we give ourselves, or None
    cdef Effects effects                # beside all that, or None
    cdef object sessions                # proxy.policy.sessions.SessionRule, or None
    cdef dict tables                    # by cluster, what stands for its endpoints there (relay/exchange/sessions.pyx)
    cdef bint retries                   # it has a rule of its own for this, and a timeout
    cdef RetryRule retry_rule
    cdef int64_t timeout                # ns for all of a request; 0: without end
    cdef int64_t* counted[6]            # where it is counted how its requests end, by class; NULL: not looked up yet

    cdef Backend pick(self, int64_t chance)

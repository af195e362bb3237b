# A request that routes have a say in; theory in routed.pyx.
from proxy.relay.endpoints.rate_limits cimport RateLimits
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.relay.exchange.affected cimport Affected
from proxy.relay.routing.plan cimport Plan
from proxy.relay.routing.rewriting cimport Redirect
from proxy.relay.routing.rule cimport Backend, Rule

cdef class Routed(Affected):
    cdef Verdict token                   # what has come of its token, where they are verified
    cdef Rule rule                       # the route's that it is for; None: there is none
    cdef Backend backend                 # that gets it, or None
    cdef object session                  # that it has brought along, proxy.policy.sessions.Session, or None

    cdef int follow(self, Plan plan, dict clusters) except -1
    cdef object excess(self, RateLimits limits, bint counted)
    cdef object excess_of_route(self)
    cdef object own_answer(self)
    cdef object go(self, dict clusters)
    cdef object redirected(self, Redirect redirect)
    cdef bytes path(self)
    cdef int keep_retries(self) noexcept

"""An HTTP exchange as far as routes have a say in it: where the request goes instead of the cluster that was asked for,
how it is changed on its way, and what is answered here.

It begins when the request has got in to the frontend; the frontend's own endpoints get it only if a rule says so. The
cluster of the exchange is from then on the one that the request goes to: its metrics, its log, its limits and its
outlier detection.
"""

from random import getrandbits

from proxy.clock cimport monotonic_ns
from proxy.relay.endpoints.cluster cimport Cluster
from proxy.relay.endpoints.rate_limits cimport Limiter
from proxy.relay.endpoints.verdict cimport NOTHING
from proxy.relay.exchange.request cimport Request
from proxy.relay.exchange.sessions cimport backend_of_session
from proxy.wire.http.head cimport MAX_HEAD, Span

from proxy.relay.exchange import faults


cdef class Routed(Affected):
    """The rule and the backend stay until all is settled."""

    cdef int follow(self, Plan plan, dict clusters) except -1:
        """Goes where the plan says, or leaves the fault that is answered; `clusters` are the worker's."""
        cdef Request request = self.request
        cdef Verdict token = NOTHING if self.token is None else self.token
        self.rule = plan.find(request.head, request.client.buffer, request.client.identity,
                              token.fields, token.claims, token.claim_count)
        if self.rule is None:
            self.fault = faults.NO_ROUTE
            return 0
        request.route = self.rule.name
        if self.cluster.route_limits is not None:
            self.fault = self.excess_of_route()
            if self.fault is not None:
                return 0
        if self.rule.effects is not None:
            self.fault = self.affect(self.rule.effects)
        if self.fault is not None:
            return 0
        request.answer_edits = self.rule.answer
        self.fault = self.own_answer()
        if self.fault is None:
            self.fault = self.go(clusters)
        if self.rule.effects is not None:
            self.affect_rest(self.rule.effects, clusters)
        return 0

    cdef object excess(self, RateLimits limits, bint counted):
        """Why the request is one too many, or None: it is counted. `counted`: as let in already, by other limits."""
        cdef Limiter limiter = limits.refuses(self.request.head, self.request.client)
        if limiter is not None or not counted:
            self.cluster.counted.limit(limiter)
        if limiter is None:
            return None
        return faults.rate_limited(limiter.fleet, limiter.fields(monotonic_ns()))

    cdef object excess_of_route(self):
        """Why it is one too many for its route. Then it counts for the limits of the frontend neither."""
        cdef RateLimits limits = self.cluster.route_limits.get(self.rule.name)
        cdef RateLimits own = self.cluster.rate_limits
        if limits is None:
            return None
        fault = self.excess(limits, own is not None)
        if fault is not None and own is not None:
            own.give_back()
        return fault

    cdef object own_answer(self):
        """What the rule itself has us answer, or None."""
        cdef dict direct = self.rule.direct
        if self.rule.problem:
            return faults.unkept(self.rule.problem)
        if self.rule.redirect is not None:
            return self.redirected(self.rule.redirect)
        if direct is not None:
            return faults.direct(direct["status"], direct["body"], direct["grpc_status"], direct["details"])
        return None

    cdef object go(self, dict clusters):
        """To a backend, by its weight; a fault if that is none."""
        cdef Request request = self.request
        cdef Cluster cluster
        if self.rule.sessions is not None:
            self.backend = backend_of_session(self, clusters)
        if self.backend is None:
            self.backend = self.rule.pick(getrandbits(32) if self.rule.split.count > 1 else 0)
        if self.backend is None:
            return faults.NO_BACKEND
        request.answer_edits = self.backend.answer
        if self.backend.redirect is not None:
            return self.redirected(self.backend.redirect)
        cluster = clusters.get(self.backend.cluster)
        if cluster is None:
            return faults.no_cluster(self.backend.status)
        self.cluster = cluster
        request.edits = self.backend.request
        if request.added is not None and request.edits is not None:
            request.added = request.edits.kept(request.added)
        if self.backend.path is not None:
            request.path = self.backend.path.of(self.path())
            if len(request.path) > MAX_HEAD:
                return faults.HEAD_TOO_LARGE
        return None

    cdef object redirected(self, Redirect redirect):
        cdef Span* host = &self.request.head.authority
        cdef bytes asked = (self.request.client.buffer + host.at)[:host.length]
        return faults.redirected(redirect.status, redirect.location(asked, self.path()))

    cdef bytes path(self):
        cdef Span* path = &self.request.head.path
        return (self.request.client.buffer + path.at)[:path.length]

    cdef int keep_retries(self) noexcept:
        """Those of the rule, or the cluster's; with them how long all of it may take."""
        cdef bint own = self.rule is not None and self.rule.retries
        self.request.retry_rule = &self.rule.retry_rule if own else &self.cluster.retry_rule
        if self.rule.timeout if own else self.cluster.timeout:
            self.request.bound(self.delayed + (self.rule.timeout if own else self.cluster.timeout))
        return 0

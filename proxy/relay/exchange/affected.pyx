"""An HTTP exchange as far as something is done beside sending it on: faults that are asked for, CORS, mirrors.

They come in Envoy's order at a waypoint: after access, and before the rule's own answers, so that a preflight and an
abort reach no endpoint, and what is answered by us is readable to other origins as what endpoints answer. A delay is no
part of the time that a route allows: its timeout begins when the request goes on.
"""

from random import getrandbits

from proxy.clock cimport monotonic_ns
from proxy.policy.chance cimport falls_on
from proxy.relay.endpoints.breaker cimport Waiter
from proxy.relay.exchange.lease cimport Lease
from proxy.relay.exchange.mirrored cimport send_copies
from proxy.relay.exchange.request cimport Request
from proxy.wire.http.head cimport M_OPTIONS, Field
from proxy.wire.http.names cimport is_called

from proxy.relay.exchange import faults

cdef enum:
    MILLION = 1_000_000


cdef class Affected(Exchange):
    """What there is to do stands in the rule of its route."""

    cdef int forget(self) except -1:
        self.delayed = 0
        self.origin = None
        return Exchange.forget(self)

    cdef object affect(self, Effects effects):
        """Does what comes before the request goes anywhere. A fault: that is its answer, else None."""
        cdef object fault = self.inject(effects)
        if fault is None and effects.cors is not None:
            fault = self.cross_origin(effects.cors)
        return fault

    # -- faults that are asked for ------------------------------------------------------------------------------------

    cdef object inject(self, Effects effects):
        cdef object fault
        if effects.delay_ppm and falls_on(effects.delay_ppm, MILLION, getrandbits(32)):
            self.add_flag(b"DI")
            fault = self.wait(effects.delay)
            if fault is not None:
                return fault
        if effects.abort_ppm and falls_on(effects.abort_ppm, MILLION, getrandbits(32)):
            return faults.injected(effects.abort_status, effects.abort_grpc)
        return None

    cdef object wait(self, int64_t delay):
        """Makes it wait so many ns, as long as its client is there and waits itself."""
        cdef Request request = self.request
        cdef Lease attempt = <Lease>self.attempt
        cdef Waiter waiter = Waiter(None, False)
        cdef int64_t begun = monotonic_ns()
        if request.patience:
            delay = max(min(delay, request.started + request.patience - begun), 0)
        attempt.waiter = waiter
        attempt.begin_to_wait()
        waiter.event.wait(delay / 1e9)
        attempt.waiter = None
        self.delayed = monotonic_ns() - begun
        if request.left:
            return faults.CLIENT_LEFT
        return request.overtime() if request.patience and begun + self.delayed >= request.started + request.patience else None

    # -- CORS ---------------------------------------------------------------------------------------------------------

    cdef object cross_origin(self, CrossOrigin cors):
        """The answer to a preflight, or None; then `origin` says who may read the answer."""
        cdef bytes origin = self.field(b"origin")
        cdef bytes method
        if not origin:
            return None
        cdef bint allowed = cors.allows(origin)
        method = self.field(b"access-control-request-method") if self.request.head.method == M_OPTIONS else None
        if method and (allowed or not cors.forward_unmatched):
            headers = self.field(b"access-control-request-headers") or b""
            return faults.preflight(cors.preflight(origin, method, headers) if allowed else b"")
        if allowed:
            self.origin = origin
        return None

    cdef bytes field(self, bytes name):
        """The value of the first field of that name, which is in lower case; None: there is none."""
        cdef const char* text = self.request.client.buffer
        cdef Field* field
        cdef int index
        for index in range(self.request.head.count):
            field = &self.request.head.fields[index]
            if is_called(text, field, name, len(name)):
                return (text + field.value)[:field.value_length]
        return None

    cdef int affect_rest(self, Effects effects, dict clusters) except -1:
        """Does what comes when it is known where the request goes, and how it is changed."""
        if self.origin is not None:
            self.request.answer_edits = effects.cors.answering(self.origin, self.request.answer_edits)
        if self.fault is None and effects.mirrors:
            send_copies(self, effects.mirrors, clusters)
        return 0

"""A response came: what it says about its endpoint, and whether it is taken.

What a route's rule does not take the client never hears of, another endpoint is asked. The first one is judged by it as
by any other, but nobody waits until the fleet has heard. What is left of such an answer is thrown away, with its
connection if it is not all here.
"""

from proxy.policy.cause cimport cause_of
from proxy.policy.facts cimport ANOTHER, EXHAUSTED
from proxy.policy.retry cimport again
from proxy.relay.exchange.request cimport Request
from proxy.wire.http.head cimport NO_BODY, UNTIL_CLOSE, X_ENVOY, Field, Head
from proxy.wire.http.names cimport is_text, span_of
from proxy.wire.message cimport framing_of, take
from proxy.wire.stream cimport Stream

from proxy.policy.causes import word_of


cdef int judge_answer(HttpAttempt attempt) except -1:
    """Of an answer that the client gets."""
    attempt.request.let_go()
    note_status(attempt)
    report = attempt.judge()
    if report is not None:
        attempt.context.fleet.before_answer(report)     # it hears of it before the client can act on this answer
    return 0


cdef int note_status(HttpAttempt attempt) except -1:
    attempt.ending.status = attempt.head.status
    if attempt.request.head.grpc or attempt.head.grpc:
        attempt.ending.grpc = attempt.head.grpc_status
    return 0


cdef bint is_in_vain(Exchange exchange, HttpAttempt attempt) except -1:
    """Whether another attempt is to follow this one, which is over then. Else its answer goes to the client: the log
    says if only the number of attempts, or what the cluster may have at once, is why (URX, UO)."""
    cdef int ruling
    note_answer(attempt)
    ruling = again(exchange.request.retry_rule, &attempt.ending)
    if ruling == EXHAUSTED:
        exchange.add_flag(b"URX")
    if ruling != ANOTHER or exchange.request.left or attempt.client_fault is not None:
        return False
    if exchange.cluster.limited and not exchange.may_retry():
        exchange.add_flag(b"UO")
        return False
    put_away(attempt)
    return True


cdef int note_answer(HttpAttempt attempt) except -1:
    """What the decision goes by."""
    cdef Request request = attempt.request
    note_status(attempt)
    attempt.ending.whole = attempt.interim == 0 and (request.kept or not request.has_body)
    attempt.ending.limited = is_limited(attempt.stream.buffer + attempt.stream.start, attempt.head)
    return 0


cdef bint is_limited(const char* text, Head head) noexcept:
    """Whether it has x-envoy-ratelimited."""
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = &head.fields[index]
        if field.kind == X_ENVOY and is_text(
                text, span_of(field.name, field.name_length), b"x-envoy-ratelimited", 19):
            return True
    return False


cdef int put_away(HttpAttempt attempt) except -1:
    """It is over, and the request as it was before."""
    cdef bint sent = attempt.request.body.done and not attempt.sending()
    attempt.judge()
    attempt.request.failures.append(f"{word_of(cause_of(&attempt.ending))}@{attempt.endpoint.name}")
    attempt.stop_pump()
    if sent and has_ended(attempt):
        attempt.endpoint.give(attempt.stream)
        attempt.stream = None
    attempt.body.start(NO_BODY, 0)      # nothing of it counts as the client's
    if attempt.request.has_body:
        attempt.request.rewind()
    return attempt.end()


cdef bint has_ended(HttpAttempt attempt) noexcept:
    """Whether all of the answer is here, and the connection may go on."""
    cdef Stream stream = attempt.stream
    cdef Py_ssize_t used = 1, forward = 0
    if attempt.head.close or attempt.head.framing == UNTIL_CLOSE:
        return False
    stream.start += attempt.head.size
    attempt.body.start(framing_of(stream, attempt.head), attempt.head.content_length)
    while used > 0 and not attempt.body.done:
        used = take(attempt.body, stream, 0, &forward)
        if used < 0:
            return False
        stream.start += used
    return attempt.body.done

"""What routes do with a request, as the compiled part has it: for tests, never on the path of a request."""

from proxy.policy cimport splitting
from proxy.policy.facts cimport Split
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.relay.routing.plan cimport Plan
from proxy.relay.routing.rule cimport Backend, Rule
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport M_GET, Head
from proxy.wire.http.http1 cimport HEAD_ROOM, edited, write_request, write_response

from libc.stdint cimport int64_t

from random import getrandbits
from time import perf_counter


cdef Head request_head(bytearray text):
    cdef Head head = Head()
    assert head.parse_request(text, len(text)) == 0
    return head


def rule_for(Plan plan, bytes request, bytes identity=None, list added=None, list claims=[]) -> str | None:
    """The name of the rule that a request with this head, these fields added, and a token with these claims, by number,
    is for."""
    cdef bytearray text = bytearray(request)
    cdef Verdict token = Verdict(claims, [], 0.0)
    cdef Rule rule = plan.find(request_head(text), text, identity, added, token.claims, token.claim_count)
    return None if rule is None else rule.name.decode()


def seconds_for(Plan plan, bytes request, int times) -> float:
    """How long finding it so often takes."""
    cdef bytearray text = bytearray(request)
    cdef Head head = request_head(text)
    cdef char* at = text
    begun = perf_counter()
    for _ in range(times):
        plan.find(head, at, None, None, NULL, 0)
    return perf_counter() - begun


def backends_of(Rule rule, int times) -> list[str]:
    """Who gets so many requests, each by lot."""
    cdef Backend backend
    found = []
    for _ in range(times):
        backend = rule.pick(getrandbits(32))
        found.append("" if backend is None else backend.cluster)
    return found


def edits_of(Backend backend) -> tuple[Edits | None, Edits | None]:
    """Of the request, and of the answer."""
    return backend.request, backend.answer


def backend_of(list weights, int64_t chance) -> int:
    cdef int64_t[64] numbers
    cdef Split split
    for at, weight in enumerate(weights):
        numbers[at] = weight
    split.weights, split.count, split.total = numbers, len(weights), sum(weights)
    return splitting.backend_of(&split, chance)


def changed_request(bytes request, Edits edits, bytes path) -> bytes:
    """The head that the endpoint gets."""
    cdef bytearray text = bytearray(request), out = bytearray(HEAD_ROOM)
    cdef Head head = request_head(text)
    return bytes(out[:write_request(out, text, head, head.upgrade, b"0" * 36, edits, path)])


def changed_response(bytes response, Edits edits) -> bytes:
    """The head that the client gets."""
    cdef bytearray text = bytearray(response), out = bytearray(HEAD_ROOM)
    cdef Head head = Head(lenient=True)
    assert head.parse_response(text, len(text), M_GET) == 0
    date = b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
    return bytes(out[:write_response(out, text, head, False, False, 0, date, edits)])


def changed_reply(bytes reply, Edits edits) -> bytes:
    """A whole answer of our own."""
    return edited(reply, edits)

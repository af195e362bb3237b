"""What a worker says to the tokens of a request, and the head that goes on: for tests and the bench."""

from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from proxy.relay.endpoints.tokens cimport TokenCache, Tokens
from proxy.relay.endpoints.verdict cimport Verdict
from proxy.relay.exchange.request cimport Request
from proxy.wire.buffers cimport more_room
from proxy.wire.stream cimport Stream
from proxy.wire.http.http1 cimport HEAD_ROOM


cdef class Judge:
    """Tokens of one cluster, as `form` says, with these keys by source. `asked`: claims that access rules ask for."""
    cdef Tokens tokens
    cdef TokenCache cache

    def __init__(self, list form, dict keys, list asked=[]):
        self.cache = TokenCache()
        self.tokens = Tokens(form, asked, self.cache)
        self.tokens.take_keys(keys)

    @property
    def kept(self):
        """How many verdicts there are, and about how many octets they take."""
        return len(self.cache), self.cache.size

    def judge(self, bytes head, double now):
        """The refusal (or None), the values of claims by number, and the head that would go on."""
        cdef Request request = request_of(head)
        cdef Verdict verdict = self.tokens.judge(request.head, request.client, now)
        cdef bytearray out = bytearray(HEAD_ROOM)
        request.added = verdict.lines
        length = request.write_head(out, False)
        claims = [(verdict.claims[at].header, verdict.kept[at]) for at in range(verdict.claim_count)]
        return verdict.refusal, claims, bytes(out[:length])

    def nanoseconds(self, bytes head, double now, int count):
        """What one judgement takes of this head, on average."""
        cdef Request request = request_of(head)
        cdef timespec begun, ended
        cdef int at
        clock_gettime(CLOCK_MONOTONIC, &begun)
        for at in range(count):
            self.tokens.judge(request.head, request.client, now)
        clock_gettime(CLOCK_MONOTONIC, &ended)
        return ((ended.tv_sec - begun.tv_sec) * 1e9 + ended.tv_nsec - begun.tv_nsec) / count


cdef Request request_of(bytes head):
    cdef Request request = Request()
    cdef Stream client = Stream()
    client.buffer = more_room(NULL, 0, &client.capacity, len(head))
    memcpy(client.buffer, <const char*>head, len(head))
    request.client, client.pinned = client, len(head)
    if request.head.parse_request(client.buffer, len(head)) < 0:
        raise ValueError(head)
    return request

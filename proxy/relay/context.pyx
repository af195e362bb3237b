"""What all exchanges of a worker share: limits, the log, the fleet's door, and a few things made once instead of per
request."""

import os

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from libc.time cimport gmtime_r, strftime, time_t, tm
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec

from proxy.relay.endpoints.trunk cimport Yard
from proxy.wire.http.http1 cimport HEAD_ROOM
from proxy.wire.http2.session cimport Session


# How long an unwanted body is read and thrown away so that the client gets to see our answer.
cdef double LINGER_SECONDS = 2.0
# How long an HTTP/2 connection is silent before it is asked whether it is alive (ztunnel: 10 s, given up after 20).
cdef double PATIENCE_SECONDS = 10.0
cdef double FOREVER = 1e8


cdef int64_t wall_ns() noexcept:
    """The wall clock; for the log and the Date field alone, no decision uses it."""
    cdef timespec now
    clock_gettime(CLOCK_REALTIME, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class Context:
    """`limits` holds seconds: idle (a connection without a request), head (a request head's arrival), stall (a body
    that does not move), endpoint_idle (a pooled connection), detection (a client's first bytes on a port of undeclared
    protocol); 0 means for ever. `fleet` is told of outcomes (proxy/fleet)."""

    def __init__(self, Scoreboard scoreboard, int worker, AccessLog log, fleet, dict limits):
        cdef bytes seed = os.urandom(sizeof(self.random))
        self.scoreboard = scoreboard
        self.worker = worker
        self.row = scoreboard.memory.worker(worker)
        self.log = log
        self.fleet = fleet
        self.idle = Deadlines(limits["idle"] or FOREVER)      # a list in any case: draining ends what is in it
        self.head = Deadlines(limits["head"])
        self.stall = Deadlines(limits["stall"])
        self.endpoint_idle = Deadlines(limits["endpoint_idle"])
        self.yard = Yard(limits["endpoint_idle"])
        self.tunnel = Deadlines(limits["idle"])      # not `idle`: a drain ends idle connections, not tunnels
        self.linger = Deadlines(LINGER_SECONDS)
        self.patience = Deadlines(PATIENCE_SECONDS)
        self.detection = Deadlines(limits["detection"])
        self.head_seconds = limits["head"] or FOREVER
        self.sessions = set()
        self.stall_seconds = limits["stall"]
        memcpy(self.random, <const char*>seed, sizeof(self.random))
        self.date_second = -1
        self.scratch = <char*>malloc(HEAD_ROOM)
        if self.scratch == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.scratch)

    def tick(self):
        """Ends the waits that are over; to be called a few times a second."""
        self.idle.tick()
        self.head.tick()
        self.stall.tick()
        self.linger.tick()
        self.tunnel.tick()
        self.endpoint_idle.tick()
        self.patience.tick()
        self.detection.tick()
        self.yard.tick()
        self.row.log_lines_dropped = self.log.dropped

    def shutdown_sessions(self):
        """Tells every HTTP/2 client to open its next stream elsewhere."""
        cdef Session session
        for session in list(self.sessions):
            session.shutdown()

    def refuse_streams(self):
        """What they have opened until now is served, and nothing after it."""
        cdef Session session
        for session in list(self.sessions):
            session.refuse_new()

    cdef const char* date(self) noexcept:
        """The time it is: `date: Sun, 06 Nov 1994 08:49:37 GMT` with its line end: 37 bytes."""
        cdef time_t second = wall_ns() // 1_000_000_000
        cdef tm parts
        if second != self.date_second:
            gmtime_r(&second, &parts)
            strftime(self.date_line, sizeof(self.date_line), "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts)
            self.date_second = second
        return self.date_line

    cdef uint64_t next_random(self) noexcept:
        """xoshiro256**: unique ids, no secrets."""
        cdef uint64_t* s = self.random
        cdef uint64_t result = rotate(s[1] * 5, 7) * 9
        cdef uint64_t t = s[1] << 17
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = rotate(s[3], 45)
        return result

    cdef void make_request_id(self, char* out) noexcept:
        """A version 4 UUID as 36 characters (RFC 9562)."""
        cdef uint64_t high = (self.next_random() & <uint64_t>0xffffffffffff0fff) | 0x4000
        cdef uint64_t low = (self.next_random() & <uint64_t>0x3fffffffffffffff) | <uint64_t>0x8000000000000000
        cdef int at, shift = 60
        cdef uint64_t word = high
        for at in range(36):
            if at in (8, 13, 18, 23):
                out[at] = b"-"
                continue
            if at == 19:
                word, shift = low, 60
            out[at] = HEX[(word >> shift) & 15]
            shift -= 4


cdef const char* HEX = b"0123456789abcdef"


cdef inline uint64_t rotate(uint64_t x, int k) noexcept:
    return (x << k) | (x >> (64 - k))

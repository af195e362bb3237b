"""What all exchanges of a worker share, held together: what they wait for at most, whom they tell, what is made once
instead of per request. It knows nothing of requests or endpoints."""

from libc.stdlib cimport free, malloc

from proxy.wire.http.http1 cimport HEAD_ROOM

cdef tuple NORMALIZATIONS = ("base", "merge_slashes", "decode_and_merge_slashes", "none")  # by policy's numbers


cdef class Context:
    """One worker's. `fleet` is told of outcomes (proxy/fleet)."""

    def __init__(self, Scoreboard scoreboard, int worker, AccessLog log, object fleet, Timeouts timeouts):
        self.scoreboard = scoreboard
        self.worker = worker
        self.row = scoreboard.memory.worker(worker)
        self.log = log
        self.fleet = fleet
        self.timeouts = timeouts
        self.drain = Drain(scoreboard)
        self.unread = Unread(self.drain.sessions)
        self.date = Date()
        self.request_ids = RequestIds()
        self.scratch = <char*>malloc(HEAD_ROOM)
        if self.scratch == NULL:
            raise MemoryError

    def normalize_paths(self, str mode) -> None:
        """As the setting says, from now on; `base` until then."""
        self.normalization = NORMALIZATIONS.index(mode)

    def __dealloc__(self):
        free(self.scratch)

"""A worker's way out: what is under way is finished, and clients are told to go elsewhere with what comes next."""

from proxy.wire.http2.session cimport Session


cdef class Drain:
    """Whether the worker drains, and whom it has to tell."""

    def __cinit__(self):
        self.sessions = set()

    def shut_down_sessions(self) -> None:
        """Tells every HTTP/2 client to open its next stream elsewhere."""
        cdef Session session
        for session in list(self.sessions):
            session.shutdown()

    def refuse_streams(self) -> None:
        """What they have opened until now is served, and nothing after it."""
        cdef Session session
        for session in list(self.sessions):
            session.refuse_new()

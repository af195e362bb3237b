"""A worker's way out: what is under way is finished, and clients are told to go elsewhere with what comes next."""

cimport cython

from proxy.wire.http2.session cimport Session


@cython.final
cdef class Drain:
    """Whether the worker drains, and whom it has to tell."""

    def __init__(self, Scoreboard board):
        self.board = board
        self.draining = &board.memory.header.draining
        self.sessions = set()

    def begin(self) -> None:
        """Tells every HTTP/2 client, those too that are still shaking hands, to open its next stream elsewhere."""
        cdef Session session
        self.begun = True
        for session in list(self.sessions):
            session.shutdown()

    def refuse_streams(self) -> None:
        """What they have opened until now is served, and nothing after it."""
        cdef Session session
        for session in list(self.sessions):
            session.refuse_new()

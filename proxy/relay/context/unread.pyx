"""Answers that HTTP/2 clients do not read. What was asked for comes, into the worker and into the kernel's buffers for the
endpoint's connection: up to a mebibyte of each, and as much at the endpoint. `Session.may_begin` bounds how many are asked
for by one connection; here it is bounded for all together.

If more than MOST wait in a worker for clients that have taken nothing for ten seconds (`Session.stands`), the newest of each
connection are given up, as all would be after `--stream-idle-timeout`; its older ones are not, nor are those of clients
that read, however slowly.
"""

cimport cython
from libc.stdint cimport int64_t

from proxy.clock cimport monotonic_ns
from proxy.wire.http2.session cimport NARROW_STREAMS, Session

cdef enum:
    MOST = 100              # as many as may be one client's


@cython.final
cdef class Unread:
    """Looks after the answers of `sessions`."""

    def __init__(self, set sessions):
        self.sessions = sessions

    cdef int look(self, WorkerRow* row) except -1:
        """Counts what waits for clients to read, answers, and requests that are not begun before they do; and bounds it. To
        be called a few times a second."""
        cdef Session session
        cdef list standing = []
        cdef int64_t now = monotonic_ns()
        cdef int answers = 0, requests = 0, unread = 0
        for session in self.sessions:
            answers += session.waiting
            requests += len(session.queue)
            session.doubt_less()
            if session.stands(now):
                unread += session.waiting
                standing.append(session)
        row.unread_answers, row.waiting_requests = answers, requests
        if unread > MOST:
            for session in standing:
                session.give_up(max(MOST // <int>len(standing), NARROW_STREAMS))
        return 0

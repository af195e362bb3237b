"""How long a call to Redis may take, measured fairly: what a busy worker read late was not answered late.

libev fires timers before it hands out what has arrived. A worker that was busy for longer than the limit (a snapshot, a
stopped process, a throttled container) would so give up calls whose answer lies in the socket. Hence a call whose time
is over gets one whole turn of the loop more, in which everything that has arrived reaches whoever waits for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from state.errors import StoreUnavailable

# A call that takes longer puts the replica into local mode. Some round trips to a Redis that is near.
BUDGET_MS = 50
# Connecting may: addresses, TCP, TLS, AUTH, scripts. Nothing that decides waits for it.
CONNECT_MS = 500


class _Overdue(BaseException):
    """Thrown into the block; not an Exception, so that a client neither retries nor keeps the connection."""


@contextmanager
def within(milliseconds: int, what: str = "no answer", gone_ms: int = 0) -> Iterator[None]:
    """Raises StoreUnavailable when the block, which waits in this greenlet, takes longer; `gone_ms` of that are over.

    The client closes the connection of a call that is given up, and nobody sends the call again.
    """
    greenlet, loop, overdue = gevent.getcurrent(), gevent.get_hub().loop, _Overdue()
    over = False

    def give_up() -> None:
        if not over:
            greenlet.throw(overdue)

    def look_again() -> None:  # the turn after this one asks the kernel; what it tells has been handed out by then
        again.start(loop.run_callback, give_up)

    timer, again = loop.timer(max(0, milliseconds - gone_ms) / 1000), loop.timer(0)
    timer.start(look_again, update=True)
    try:
        yield
    except _Overdue as thrown:
        if thrown is not overdue:
            raise
        raise StoreUnavailable(f"redis: {what} within {milliseconds} ms") from TimeoutError()
    finally:
        over = True
        for each in (timer, again):
            each.stop()
            each.close()

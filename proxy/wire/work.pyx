"""What is done in a greenlet of its own that nobody waits for.

Plain greenlets are made faster than gevent's, and switched to with less to check. Even so to make one costs as much as
much of what is done in it: so a hand, as it is called here, that is done waits for the next work, and some are kept.
"""

import sys

from greenlet import GreenletExit
from greenlet import greenlet as Greenlet

from proxy.wire.greenlets cimport PyGreenlet_Import, PyGreenlet_Switch, greenlet
from proxy.wire.stream cimport get_hub, wake_soon

PyGreenlet_Import()

cdef enum:
    SPARE_HANDS = 64

cdef list spare_hands = []


cdef class Work:
    """Subclasses say what."""

    cdef int run(self) except -1:
        raise NotImplementedError

    cdef int end(self) except -1:       # however that went
        return 0


cdef class Hand:
    """A greenlet that does one work after the other. Its stack is copied whenever it waits: so there is one call between
    it and the work."""

    cdef greenlet body
    cdef Work work

    def __call__(self) -> None:
        cdef greenlet hub = get_hub()
        while True:
            try:
                try:
                    self.work.run()
                finally:
                    self.work.end()
            except GreenletExit:
                raise
            except BaseException:
                get_hub().handle_error(self.work, *sys.exc_info())
            self.work = None
            if len(spare_hands) >= SPARE_HANDS:
                return
            spare_hands.append(self)
            PyGreenlet_Switch(hub, NULL, NULL)


cdef int spawn(Work work) except -1:
    """Does it soon."""
    cdef Hand hand
    if spare_hands:
        hand = spare_hands.pop()
    else:
        hand = Hand()
        hand.body = Greenlet(hand, get_hub())
    hand.work = work
    return wake_soon(hand.body)

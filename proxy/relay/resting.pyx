"""Clients that ask for nothing. Who has been silent for a moment between two requests rests: it has no greenlet, whose
stack would be most of what it weighs, until something comes on its stream. How long it may be silent is counted from its
last request all the same (Timeouts.resting), and draining ends it as any other.
"""

from proxy.wire.buffers cimport give_back_freed
from proxy.wire.stream cimport IDLE_TOO_LONG, IdleListener
from proxy.wire.work cimport spawn

cdef enum:
    MANY = 1000                 # whose greenlets are worth giving back

cdef int lately = 0             # how many have begun to rest since


cdef class Served(Work):
    """Somebody whose requests are served, over whatever stream."""

    cdef Stream stream(self):
        raise NotImplementedError

    cdef Context context(self):
        raise NotImplementedError

    cdef int serve(self) except -1:
        """Serves it to its end, or until it may rest: true then."""
        raise NotImplementedError

    cdef int leave(self) except -1:
        """It is over."""
        raise NotImplementedError

    cdef int run(self) except -1:
        self.rests = False
        self.rests = not self.over and self.serve()
        return 0

    cdef int end(self) except -1:
        if not self.rests:
            return self.leave()
        rest(self)
        return 0


cdef class Rest(IdleListener):
    """Hears that something comes."""

    cdef Served served

    cdef int idle_event(self, Stream stream, int event) except -1:
        """A request that came together with the end of our patience is served."""
        cdef Served served = self.served
        served.over = event == IDLE_TOO_LONG and stream.alive()
        stream.disarm()
        stream.listener = None          # that was the last who knew of `self`
        return spawn(served)


cdef int rest(Served served) except -1:
    global lately
    cdef Rest resting = Rest()
    cdef Stream stream = served.stream()
    lately += 1
    resting.served = served
    stream.listener = resting
    stream.arm(served.context().timeouts.resting)
    return stream.watch()


cdef void tidy() noexcept:
    """Gives back what those had who have begun to rest; to be called now and then."""
    global lately
    if lately >= MANY:
        lately = 0
        give_back_freed()

# distutils: libraries = ssl crypto
"""TLS over whatever byte stream there is: to an endpoint, over a TCP connection or a CONNECT stream of HBONE; and a
client's, over its TCP connection (serving.pyx).

All waiting is done in the stream below: who reads this one waits for that one, deadlines are armed there, and what happens
there while nobody reads is heard by an `Ear`. Tickets, and what else TLS says between two answers, are taken then, and are
nothing to whoever keeps the connection. sealed.pyx has the sending half.

An end without close_notify is a failure: a body that only its end delimits may have been cut (RFC 9112 9.8).
"""

from libc.errno cimport ECONNABORTED, ECONNRESET
from libc.stdint cimport int64_t

from proxy.wire.http2.output cimport RECORD
from proxy.wire.stream cimport (
    CONNECTION_ENDED,
    DATA_WAITS,
    END,
    FAILED,
    PEER_CLOSED,
    PEER_RESET,
    QUIET,
    TLS_REFUSED,
    Deadlines,
    get_hub,
)
from proxy.wire.tls.context cimport chosen_protocol, error_of
from proxy.wire.tls.openssl cimport *

from proxy.wire.tls.origin_words import is_refusal, reason_of


cdef class Ear(IdleListener):
    """Hears what happens below while nobody reads."""

    cdef SecuredStream stream

    cdef int idle_event(self, Stream under, int event) except -1:
        cdef Ear kept = self                    # whoever closes the stream lets go of both
        cdef SecuredStream stream = self.stream
        if stream.listener is None:
            return 0            # it will be read
        if event == DATA_WAITS:
            stream.absorb()
            event = stream.state()
            if event == QUIET:
                return under.watch()
        return stream.listener.idle_event(stream, event)


cdef class SecuredStream(SealedStream):
    """A connection under TLS. `origin` is what one to an endpoint was made with."""

    def __cinit__(self):
        self.reason = ""

    cdef int wrap(self, Stream under, Origination origination, int alpn) except -1:
        """Puts TLS to an endpoint over `under`, which is ours from now on."""
        self.origin = origination
        return self.put_on(under, origination.begin(alpn))

    cdef int put_on(self, Stream under, SSL* tls) except -1:
        """Both are ours from now on."""
        cdef Ear ear = Ear()
        self.local, self.peer, self.identity = under.local, under.peer, under.identity
        ear.stream = self
        self.ear = ear
        return self.carry(under, tls)

    cdef int shake_hands(self, double seconds) except? RAISED:
        """0, or FAILED with the reason. When the time is up the connection is closed, whatever it waits for."""
        cdef object timer = get_hub().loop.timer(seconds)
        cdef int result = 1
        timer.start(self.give_up)
        try:
            while result > 0:
                result = self.advance()
            return result
        finally:
            timer.stop()
            timer.close()

    def give_up(self) -> None:
        self.reason = "timeout"
        self.under.close()

    cdef int advance(self) except? RAISED:
        """As far as what has come allows: 0 when hands are shaken, 1 to go on, or FAILED."""
        cdef int result, kind
        cdef Py_ssize_t got
        ERR_clear_error()
        result = SSL_do_handshake(self.tls)
        kind = SSL_get_error(self.tls, result)
        if kind != SSL_ERROR_NONE and kind != SSL_ERROR_WANT_READ and not self.reason:
            self.reason = reason_of(error_of(self.tls, result, self.error))
        if self.push() < 0 or self.push_held() < 0 or kind != SSL_ERROR_NONE and kind != SSL_ERROR_WANT_READ:
            self.reason = self.reason or "connection closed"
            return FAILED
        if kind == SSL_ERROR_NONE:
            self.decrypt()      # what came with the end of the handshake
            return FAILED if self.error else 0
        got = self.under.fill()
        if got <= 0:
            self.reason = self.reason or "it closed the connection"
            return FAILED
        return 1

    cdef str protocol(self):
        """What both ends agreed on (ALPN), None if nothing."""
        return chosen_protocol(self.tls)

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef Py_ssize_t got = 0
        self.under.listener = None
        while not got:
            if self.closed:
                return FAILED
            if self.eof:
                return FAILED if self.error else END
            got = self.under.fill()
            if got < FAILED:
                return got      # nothing is wrong with the stream
            if got <= 0:
                self.note_end(got)
            got = self.decrypt()
        return got

    cdef int note_end(self, Py_ssize_t got) except -1:
        """Nothing more comes from below."""
        self.ended = True
        if got == FAILED:
            self.error = self.under.error or ECONNRESET
        return 0

    cdef Py_ssize_t decrypt(self) except? RAISED:
        """All that has come below goes to OpenSSL, and what comes of it into the buffer: how many bytes."""
        cdef Py_ssize_t got = 0
        cdef size_t n = 0
        if self.tls == NULL:
            return 0
        ERR_clear_error()
        self.make_room(RECORD)
        while SSL_read_ex(self.tls, self.buffer + self.end, self.capacity - self.end, &n) == 1:
            self.end += n
            got += n
            self.answered = True
            if self.consumer is not None:
                self.consumer.consume(self)
            if self.tls == NULL:
                return got
            if self.under.start == self.under.end and not self.ended and SSL_pending(self.tls) == 0:
                break
            self.make_room(RECORD)
        else:
            self.read_ended(SSL_get_error(self.tls, 0))
        self.under.release()
        if self.end == self.start:
            self.release()
        if self.push() < 0:
            self.eof = True
        return got

    cdef int read_ended(self, int kind) except -1:
        """There was nothing to read, for now or at all."""
        cdef object fault
        if kind == SSL_ERROR_WANT_READ and not self.ended:
            return 0
        self.eof = True
        if kind != SSL_ERROR_ZERO_RETURN:
            fault = error_of(self.tls, 0, self.error)
            self.reason = reason_of(fault)
            self.refused = not self.answered and is_refusal(fault)
            self.error = self.error or ECONNABORTED
        return 0

    cdef Py_ssize_t absorb(self) except? RAISED:
        """What has come is taken without waiting."""
        cdef Py_ssize_t got = self.under.fill_now()
        if self.under.eof and self.under.start == self.under.end:
            self.note_end(FAILED if self.under.error else END)
        return self.decrypt() if got or self.ended else 0

    cdef Py_ssize_t fill_now(self) except? RAISED:
        return 0 if self.closed or self.eof else self.absorb()

    # -- between two answers ------------------------------------------------------------------------------------------

    cdef int watch(self) except -1:
        if self.closed:
            return 0
        self.under.listener = self.ear
        return self.under.watch()

    cdef int look(self) except -1:
        cdef int event = PEER_CLOSED if self.closed else self.under.look()
        if event == DATA_WAITS:
            self.absorb()
            event = QUIET
        return self.state() if self.state() != QUIET else event

    cdef int state(self) noexcept:
        """As `look`, of what has been taken."""
        if self.start != self.end:
            return DATA_WAITS
        return (PEER_RESET if self.error else PEER_CLOSED) if self.eof else QUIET

    cdef bint was_quiet(self) except -1:
        return self.start == self.end and not self.eof and self.under.was_quiet()

    cdef bint alive(self) noexcept:
        return not self.closed and not self.eof and self.start == self.end and self.under.alive()

    cdef bint pending(self) noexcept:
        return self.start != self.end or self.under.pending()

    cdef int arm(self, Deadlines deadlines) except -1:
        self.under.arm(deadlines)
        self.deadline = self.under.deadline
        return 0

    cdef int disarm(self) except -1:
        return self.under.disarm()

    cdef int end_read(self, int result) except -1:
        return self.under.end_read(result)

    cdef int cancel_read(self) except -1:
        return self.under.cancel_read()

    def time_out(self) -> None:
        self.under.time_out()

    # -- what it shares with what carries it --------------------------------------------------------------------------

    cdef bint leaving(self) noexcept:
        return self.under.leaving()

    cdef bint crowded(self, int64_t for_ns) noexcept:
        return self.under.crowded(for_ns)

    cdef int64_t unheard_ms(self) noexcept:
        return self.under.unheard_ms()

    cdef bint first_loss(self, int who) except -1:
        return self.under.first_loss(who)

    cdef int how_it_ended(self) noexcept:
        return TLS_REFUSED if self.refused else self.under.how_it_ended()

    cdef bint was_ignored(self) noexcept:
        return self.refused

    cdef str last_word(self):
        return f"TLS_error: {self.reason}" if self.reason else "connection closed"

    cdef int finish(self) except? RAISED:
        if self.closed or self.tls == NULL:
            return FAILED
        ERR_clear_error()
        SSL_shutdown(self.tls)
        ERR_clear_error()
        if self.push() < 0 or self.push_held() < 0:
            return FAILED
        return self.under.finish()

    # -- the end ------------------------------------------------------------------------------------------------------

    cdef int close(self) except -1:
        if self.closed:
            return 0
        self.closed = True
        self.listener = None
        if self.tls != NULL:
            if self.error == 0 and not self.eof and not self.under.closed:
                ERR_clear_error()
                SSL_shutdown(self.tls)  # whether close_notify can be sent or not: its answer is not waited for
                ERR_clear_error()
                self.push()
            SSL_free(self.tls)
            self.tls = NULL
        self.error = self.error or ECONNRESET
        self.under.close()
        self.ear = None
        return self.give_up_permit()

    cdef int abort(self) except -1:
        self.eof = True                 # so nothing is said
        self.under.abort()
        return self.close()


cdef SecuredStream secure(Stream under, Origination origination, int alpn, double seconds, list reasons):
    """TLS over `under`, hands shaken within `seconds`; or None with the reason, and `under` is closed."""
    cdef SecuredStream stream = SecuredStream()
    stream.wrap(under, origination, alpn)
    if stream.shake_hands(max(seconds, 0.001)) == 0:
        return stream
    reasons.append(stream.reason or "connection closed")
    stream.close()
    return None

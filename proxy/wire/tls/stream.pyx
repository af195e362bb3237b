# distutils: libraries = ssl crypto
"""TLS over TCP sockets as streams: OpenSSL on the descriptor, waiting as TcpStream does.

Only mesh TLS: both ends have certificates, the contexts are MeshTls's (mesh.py). OpenSSL is given a transport of our
own (a BIO). What it reads comes from `input`, which one recv has filled: by itself it makes two system calls for every
record. What it writes goes to the socket record by record, with word that more follows (MSG_MORE) up to the last one, so
that the kernel makes few large segments of many. `input` is every stream's in turn: whoever receives has OpenSSL take
all of it at once, and whoever consumes has each record before the next is decrypted, so that little memory is gone
over. A recv is made when the socket is readable, not before.
"""

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, ETIMEDOUT, errno
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from proxy.clock cimport monotonic_ns
from proxy.wire.tls.openssl cimport *
from proxy.wire.http2.output cimport RECORD
from proxy.wire.stream cimport END, FAILED, RAISED, READY, TIMED_OUT, get_hub
from proxy.wire.address cimport Address
from proxy.wire.opening cimport connect_stream
from proxy.wire.tcp cimport MSG_MORE, MSG_NOSIGNAL, TcpStream, recv, send
from proxy.wire.tls.context cimport TlsContext, chosen_protocol, error_of, make_transport, peer_uris, put_over

from proxy.wire.tls.mesh import identity_in, reason_of

cdef enum:
    INPUT = 131072              # what is received in one go: few system calls, and still in the processor's cache

# What was received last and OpenSSL has not yet taken, and by which stream: to no other may it be given.
cdef char[INPUT] input
cdef Py_ssize_t input_start = 0
cdef Py_ssize_t input_end = 0
cdef void* input_owner = NULL

cdef BIO_METHOD* transport = make_transport(b"waypointd stream", transport_read, transport_write, transport_control)


cdef class TlsStream(TcpStream):
    """A TLS connection. Before the handshake neither end has said who it is."""

    def __dealloc__(self):
        global input_owner
        SSL_free(self.tls)
        if input_owner == <void*>self:      # what a broken connection left must not be the next one's at this address
            input_owner = NULL

    cdef int wrap(self, TlsContext context) except -1:
        """Puts TLS over the descriptor, which stays ours."""
        self.in_records = True
        self.tls = context.begin()
        return put_over(self.tls, transport, <void*>self)

    cdef int shake_hands(self, double seconds) except? RAISED:
        """0; FAILED or TIMED_OUT with the reason."""
        cdef object timer = get_hub().loop.timer(seconds)
        cdef int waited = READY
        timer.start(self.time_out)
        try:
            while waited == READY:
                waited = self.advance(seconds)
            if waited == 0 or self.reason:
                return waited
            self.reason = "timeout" if waited == TIMED_OUT else "connection closed"
            return waited
        finally:
            timer.stop()
            timer.close()
            self.timed_out = False

    cdef int advance(self, double seconds) except? RAISED:
        """As far as what has come allows: 0 when hands are shaken; READY when more has come, or a negative Io."""
        cdef int result, kind, waited
        ERR_clear_error()
        result = SSL_do_handshake(self.tls)
        if result == 1:
            self.decrypt()          # what came with the end of the handshake
            return FAILED if self.error else 0
        kind = SSL_get_error(self.tls, result)
        if kind == SSL_ERROR_WANT_WRITE:
            return self.wait_writable(seconds)
        if kind != SSL_ERROR_WANT_READ:
            self.reason = reason_of(error_of(self.tls, result, self.error))
            return FAILED
        if not self.watching:
            self.start_watching()
        waited = self.wait_readable()
        if waited == READY:
            self.receive()
        return waited

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t fill(self) except? RAISED:
        cdef Py_ssize_t got = 0
        cdef int woken
        while not got:
            if self.closed:
                return FAILED
            if self.eof:
                return FAILED if self.error else END
            if not self.watching:
                self.start_watching()
            woken = self.wait_readable()
            if woken != READY:
                return woken
            if self.closed:
                return FAILED
            if self.receive():
                got = self.decrypt()
        return got

    cdef bint receive(self) noexcept:
        """Fills `input`; False if nothing has come, not even an end."""
        global input_start, input_end, input_owner
        cdef ssize_t n
        input_start = input_end = 0
        input_owner = <void*>self
        self.ended = False
        n = recv(self.fd, input, INPUT, 0)
        if n > 0:
            input_end = n
        elif n == 0:
            self.ended = True
        elif errno == EAGAIN or errno == EINTR:
            return False
        else:
            self.error = errno
            self.ended = True
        return True

    cdef Py_ssize_t decrypt(self) except? RAISED:
        """All that is in `input` goes to OpenSSL, and what comes of it into the buffer: how many bytes."""
        cdef Py_ssize_t got = 0
        cdef size_t n = 0
        ERR_clear_error()
        self.make_room(RECORD)
        while SSL_read_ex(self.tls, self.buffer + self.end, self.capacity - self.end, &n) == 1:
            self.end += n
            got += n
            if self.consumer is not None:
                self.consumer.consume(self)
            # OpenSSL may keep none of it: no poll would tell.
            if input_start == input_end and not self.ended and SSL_pending(self.tls) == 0:
                return got
            self.make_room(RECORD)
        self.read_ended(SSL_get_error(self.tls, 0))
        return got

    cdef int read_ended(self, int kind) except -1:
        """There was nothing to read, for now or at all. Without close_notify, or with a broken record, it is a failure."""
        if kind == SSL_ERROR_WANT_READ:
            return 0
        self.eof = True
        if kind != SSL_ERROR_ZERO_RETURN:
            self.reason = reason_of(error_of(self.tls, 0, self.error))
            self.error = self.error or ECONNABORTED
        return 0

    cdef bint alive(self) noexcept:
        return not self.closed and not self.eof and self.end == self.start

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        return self.encrypt(data, length, False)

    cdef Py_ssize_t put_now_both(
            self, const char* first, Py_ssize_t first_length, const char* second, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t taken = self.encrypt(first, first_length, length > 0)
        cdef Py_ssize_t more
        if taken != first_length:
            return taken
        more = self.encrypt(second, length, False)
        return more if more < 0 else taken + more

    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t length, bint more_follows) noexcept:
        """As put_now; `more_follows`: this is not all there is to be sent now."""
        cdef Py_ssize_t taken = 0
        cdef size_t n = 0
        if self.closed:
            return FAILED
        ERR_clear_error()
        while taken < length:
            self.more_follows = more_follows or length - taken > RECORD
            if SSL_write_ex(self.tls, data + taken, min(length - taken, RECORD), &n) != 1:
                if SSL_get_error(self.tls, 0) == SSL_ERROR_WANT_WRITE:
                    break
                self.error = self.error or ECONNABORTED
                return FAILED
            taken += n
        self.more_follows = False
        self.written += taken
        return taken

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        cdef bytes head = volatile_head[:head_length]       # HTTP/2 never comes here; simple is enough
        cdef int result = self.put(head, head_length)
        return result if result else self.put(data, length)

    cdef int close(self) except -1:
        if not self.closed and self.tls != NULL:
            if self.error == 0 and not self.eof:
                ERR_clear_error()
                SSL_shutdown(self.tls)      # whether close_notify could be sent or not: its answer is not waited for
                ERR_clear_error()
            SSL_free(self.tls)
            self.tls = NULL
        return TcpStream.close(self)


cdef int accept_tls(TlsStream stream, object mesh, double seconds) except -1:
    """Shakes hands, as the server, on a connection that was taken over. `reason` says why it must not be used, "" if it may
    be.

    `mesh` is a MeshTls; the peer's certificate is checked against its roots and trust domains.
    """
    stream.reason = ""
    stream.wrap(mesh.server)
    stream.receive()            # the peer speaks first, and mostly has
    if stream.shake_hands(seconds) == 0:
        admit(stream, mesh, None)
    return 0


cdef TlsStream connect_tls(
        Address address, object mesh, str expected, double seconds, double stall_seconds, int* error, list reason):
    """A TLS connection within `seconds`, or None with the errno, and what TLS had to say in `reason`.

    `expected`: "ns/NS/sa/SA" of the endpoint, "" if that is not known.
    """
    cdef int64_t started = monotonic_ns()
    cdef TlsStream stream = TlsStream()
    if connect_stream(stream, address, seconds, stall_seconds, error) < 0:
        return None
    stream.reason = ""
    stream.wrap(mesh.client)
    seconds -= (monotonic_ns() - started) / 1e9
    if stream.shake_hands(max(seconds, 0.001)) == 0:
        admit(stream, mesh, expected)
    if not stream.reason:
        return stream
    error[0] = ETIMEDOUT if stream.reason == "timeout" else ECONNABORTED
    reason.append(stream.reason)
    stream.close()
    return None


cdef int admit(TlsStream stream, object mesh, str expected) except -1:
    """Who the peer is, and whether we deal with it. `expected` None: a client, of which only the trust domain counts."""
    cdef list uris = peer_uris(stream.tls)
    cdef object identity = identity_in(uris)
    stream.identity = (identity or "").encode()
    if chosen_protocol(stream.tls) != "h2":
        stream.reason = "the peer does not speak h2 (ALPN)"
    else:
        stream.reason = (
            mesh.refusal(identity, uris) if expected is None else mesh.refusal_of_endpoint(identity, expected, uris))
    return 0


# -- the transport as OpenSSL sees it ----------------------------------------------------------------------------------


cdef int transport_read(BIO* bio, char* room, int length) noexcept:
    global input_start
    cdef TlsStream stream = <TlsStream>BIO_get_data(bio)
    cdef Py_ssize_t n = min(<Py_ssize_t>length, input_end - input_start) if input_owner == <void*>stream else 0
    BIO_clear_retry_flags(bio)
    if n:
        memcpy(room, input + input_start, n)
        input_start += n
        return n
    if not stream.ended:
        BIO_set_retry_read(bio)
    return -1


cdef int transport_write(BIO* bio, const char* data, int length) noexcept:
    cdef TlsStream stream = <TlsStream>BIO_get_data(bio)
    cdef ssize_t n = -1
    BIO_clear_retry_flags(bio)
    while n < 0:
        n = send(stream.fd, data, length, MSG_NOSIGNAL | MSG_MORE if stream.more_follows else MSG_NOSIGNAL)
        if n < 0 and errno == EAGAIN:
            BIO_set_retry_write(bio)
            return -1
        if n < 0 and errno != EINTR:
            stream.error = errno
            return -1
    return n


cdef long transport_control(BIO* bio, int command, long number, void* pointer) noexcept:
    if command == BIO_CTRL_EOF:
        return (<TlsStream>BIO_get_data(bio)).ended and (<TlsStream>BIO_get_data(bio)).error == 0
    return command == BIO_CTRL_FLUSH

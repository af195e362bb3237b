"""TLS over TCP sockets as streams: the standard `ssl` module on the descriptor, waiting as TcpStream does.

Only mesh TLS: both ends have certificates, the contexts are MeshTls's (mesh_tls.py). Under ssl.SSLSocket, which would
wait by itself (or have gevent wait) and add a Python call to every read and write, lies the C object used here. A read is made when the socket is
readable, not before, so in ordinary life no exception is raised to say that there is nothing; a full record says that
there may be more.
"""

import _socket
import ssl

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport ECONNABORTED, ETIMEDOUT
from libc.stdint cimport int64_t

from proxy.scoreboard cimport monotonic_ns
from proxy.wire.buffers cimport LARGE
from proxy.wire.stream cimport END, FAILED, TIMED_OUT, get_hub
from proxy.wire.tcp cimport Address, TcpStream, connect_stream, set_up

from proxy.wire.mesh_tls import reason_of

cdef object WantRead = ssl.SSLWantReadError
cdef object WantWrite = ssl.SSLWantWriteError


class Descriptor(_socket.socket):
    """A descriptor as the `ssl` module wants to have it."""

    __slots__ = ("__weakref__",)


cdef enum:
    RECORD = 16384                      # the largest piece one read gives (RFC 8446 5.1)


cdef class TlsStream(TcpStream):
    """A TLS connection. Before the handshake neither end has said who it is."""

    cdef int wrap(self, object context, bint server) except -1:
        """Puts TLS over the descriptor, which stays ours."""
        self.socket = Descriptor(fileno=self.fd)
        self.socket.setblocking(False)
        self.tls = context._wrap_socket(self.socket, server)
        self.read_into, self.write_from = self.tls.read, self.tls.write
        return 0

    cdef int shake_hands(self, double seconds) except? -100:
        """0; FAILED or TIMED_OUT with the reason."""
        cdef object timer = get_hub().loop.timer(seconds)
        cdef int waited = 1
        timer.start(self.time_out)
        try:
            while waited == 1:
                try:
                    self.tls.do_handshake()
                    return 0
                except WantRead:
                    if not self.watching:
                        self.start_watching()
                    waited = self.wait_readable()
                except WantWrite:
                    waited = self.wait_writable(seconds)
            self.reason = "timeout" if waited == TIMED_OUT else "connection closed"
            return waited
        except OSError as fault:
            self.reason = reason_of(fault)
            return FAILED
        finally:
            timer.stop()
            timer.close()
            self.timed_out = False

    # -- reading ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t fill(self) except? -100:
        cdef Py_ssize_t n, got = 0
        cdef int woken
        while not got:
            if self.closed:
                return FAILED
            if self.eof:
                return FAILED if self.error else END
            if not self.watching:
                self.start_watching()
            woken = self.wait_readable()
            if woken != 1:
                return woken
            n = RECORD
            while n > RECORD // 2 and got < LARGE - RECORD:     # a full record: there may be more
                self.make_room(RECORD)      # never less than a record, or OpenSSL would keep some that no poll tells of
                n = self.read_some()
                got += n
        return got

    cdef Py_ssize_t read_some(self) except? -100:
        """One record's worth into the buffer; 0: nothing now, or the end."""
        cdef Py_ssize_t room = self.capacity - self.end
        cdef Py_ssize_t n
        try:
            n = self.read_into(room, PyMemoryView_FromMemory(self.buffer + self.end, room, PyBUF_WRITE))
        except WantRead:
            return 0
        except OSError as fault:
            self.eof = True         # cut without close_notify, or a broken record: there is no more to come
            self.error = ECONNABORTED
            self.reason = reason_of(fault)
            return 0
        self.end += n
        if n == 0:
            self.eof = True
        return n

    cdef bint alive(self) noexcept:
        return not self.closed and not self.eof and self.end == self.start

    # -- writing ------------------------------------------------------------------------------------------------------

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? -100:
        cdef Py_ssize_t taken = 0
        cdef Py_ssize_t n
        if self.closed:
            return FAILED
        try:
            while taken < length:
                n = self.write_from(PyMemoryView_FromMemory(<char*>data + taken, length - taken, PyBUF_READ))
                taken += n
        except WantWrite:
            pass
        except OSError:
            self.error = ECONNABORTED
            return FAILED
        self.written += taken
        return taken

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? -100:
        cdef bytes head = volatile_head[:head_length]       # HTTP/2 never comes here; simple is enough
        cdef int result = self.put(head, head_length)
        return result if result else self.put(data, length)

    cdef int close(self) except -1:
        if not self.closed:
            if self.tls is not None and self.error == 0 and not self.eof:
                try:
                    self.tls.shutdown()
                except OSError:
                    self.eof = True     # close_notify could not be sent, or its answer is not here yet: all the same
            self.tls = self.read_into = self.write_from = None
            if self.socket is not None:
                self.socket.detach()
        return TcpStream.close(self)


cdef TlsStream accept_tls(int fd, object mesh, double seconds, double stall_seconds):
    """The server's side of a connection, hands shaken. `reason` says why it must not be used, "" if it may be.

    `mesh` is a MeshTls; the peer's certificate is checked against its roots and trust domains.
    """
    cdef TlsStream stream = TlsStream()
    stream.fd = fd
    set_up(stream, stall_seconds)
    stream.reason = ""
    stream.wrap(mesh.server, True)
    if stream.shake_hands(seconds) == 0:
        admit(stream, mesh, None)
    return stream


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
    stream.wrap(mesh.client, False)
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
    identity = mesh.identity_of(stream.tls)
    stream.identity = (identity or "").encode()
    if stream.tls.selected_alpn_protocol() != "h2":
        stream.reason = "the peer does not speak h2 (ALPN)"
    else:
        stream.reason = mesh.refusal(identity) if expected is None else mesh.refusal_of_endpoint(identity, expected)
    return 0

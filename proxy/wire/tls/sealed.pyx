# distutils: libraries = ssl crypto
"""The sending half of TLS over any byte stream (secured.pyx), and that stream as OpenSSL sees it.

OpenSSL reads straight out of the buffer of the stream below (`under`), and writes into `output`, which every stream uses
in turn: it goes below before anybody else runs. What is not taken there is `held`, no more than one PIECE of plain bytes
makes; whoever writes waits for it.
"""

from libc.errno cimport ECONNABORTED
from libc.string cimport memcpy

from proxy.wire.buffers cimport Buffer, drop, reserve
from proxy.wire.http2.output cimport RECORD
from proxy.wire.stream cimport FAILED, RAISED
from proxy.wire.tls.context cimport make_transport, put_over
from proxy.wire.tls.openssl cimport *

cdef enum:
    PIECE = 65536               # plain bytes that are encrypted in one go
    OUTPUT = 81920              # and what they become at most, with room for what TLS says by itself
    UNTAKEN = 131072            # answers to what TLS asks, which the peer makes us write and does not read

cdef char[OUTPUT] output
cdef Py_ssize_t output_end = 0
cdef char[RECORD] joined        # a head and a short body: one record
cdef BIO_METHOD* transport = make_transport(b"waypointd secured", transport_read, transport_write, transport_control)


cdef class SealedStream(Stream):
    """What is put is encrypted and goes to `under`."""

    def __dealloc__(self):
        SSL_free(self.tls)
        drop(&self.held)

    cdef int carry(self, Stream under, SSL* tls) except -1:
        """`tls` is ours from now on, and speaks over `under`."""
        self.under, self.tls = under, tls
        return put_over(tls, transport, <void*>self)

    cdef Py_ssize_t absorb(self) except? RAISED:
        """What has come is taken without waiting."""
        raise NotImplementedError

    cdef int put(self, const char* data, Py_ssize_t length) except? RAISED:
        cdef Py_ssize_t taken = min(self.owed, length)
        cdef Py_ssize_t n
        cdef int result
        self.owed = 0
        while True:
            result = self.push_held()
            if result or taken == length:
                return result
            n = self.encrypt(data + taken, min(length - taken, <Py_ssize_t>PIECE))
            if n < 0 or self.push() < 0:
                return FAILED
            taken += n
            self.written += n

    cdef Py_ssize_t put_now(self, const char* data, Py_ssize_t length) except? RAISED:
        """Of what is encrypted and not gone the last byte counts as not taken, so that the caller comes back."""
        cdef Py_ssize_t taken = min(self.owed, length)
        cdef Py_ssize_t n
        if self.push() < 0:
            return FAILED
        while taken < length and self.held.start == self.held.end:
            n = self.encrypt(data + taken, min(length - taken, <Py_ssize_t>PIECE))
            if n < 0 or self.push() < 0:
                return FAILED
            taken += n
            self.written += n
        self.owed = 1 if taken and self.held.start != self.held.end else 0
        return taken - self.owed

    cdef int put_two(
            self, const char* volatile_head, Py_ssize_t head_length, const char* data, Py_ssize_t length) except? RAISED:
        cdef bytes copy
        cdef int result
        if head_length + length <= RECORD:
            memcpy(joined, volatile_head, head_length)
            if length:
                memcpy(joined + head_length, data, length)
            volatile_head, head_length, length = joined, head_length + length, 0
        # It is encrypted before this waits, but for a head that is longer than anybody's.
        if head_length > PIECE or self.held.start != self.held.end:
            copy = volatile_head[:head_length]
            volatile_head = copy
        result = self.put(volatile_head, head_length)
        return self.put(data, length) if result == 0 and length else result

    cdef Py_ssize_t encrypt(self, const char* data, Py_ssize_t length) noexcept:
        """Puts it into `output`: how many bytes, or -1."""
        cdef Py_ssize_t taken = 0
        cdef size_t n = 0
        if self.closed or self.tls == NULL:
            return FAILED
        ERR_clear_error()
        while taken < length:
            if SSL_write_ex(self.tls, data + taken, min(length - taken, <Py_ssize_t>RECORD), &n) != 1:
                self.error = self.error or ECONNABORTED
                ERR_clear_error()
                return FAILED
            taken += n
        return taken

    cdef int push(self) except? RAISED:
        """Gives what is in `output` to the stream below, behind what is held; 0, or FAILED. Does not wait."""
        global output_end
        cdef Py_ssize_t length = output_end
        cdef Py_ssize_t n = 0
        output_end = 0
        if self.error:
            return FAILED
        if self.held.start != self.held.end and not self.sending:
            n = self.under.put_now(self.held.bytes + self.held.start, self.held.end - self.held.start)
            if n > 0:
                self.held.start += n
        if n >= 0 and length and self.held.start == self.held.end and not self.sending:
            n = self.under.put_now(output, length)
        elif n >= 0:
            n = 0
        if n < 0 or self.held.end - self.held.start > UNTAKEN:
            self.error = self.under.error or ECONNABORTED
            if not self.answered:
                self.absorb()       # the peer may have said why, and nobody has read anything yet
            return FAILED
        if n < length:
            reserve(&self.held, length - n)
            memcpy(self.held.bytes + self.held.end, output + n, length - n)
            self.held.end += length - n
        elif self.held.start == self.held.end:
            drop(&self.held)
        return 0

    cdef int push_held(self) except? RAISED:
        """Waits until all that is held has been taken below: 0, FAILED or TIMED_OUT."""
        cdef Buffer chunk
        cdef int result = 0
        while result == 0 and self.held.start != self.held.end:
            chunk = self.held
            self.held.bytes = NULL      # the reader may add to it meanwhile
            drop(&self.held)
            self.sending = True
            try:
                result = self.under.put(chunk.bytes + chunk.start, chunk.end - chunk.start)
            finally:
                self.sending = False
                drop(&chunk)
        return result


# -- the transport as OpenSSL sees it ----------------------------------------------------------------------------------


cdef int transport_read(BIO* bio, char* room, int length) noexcept:
    cdef SealedStream stream = <SealedStream>BIO_get_data(bio)
    cdef Stream under = stream.under
    cdef Py_ssize_t n = min(<Py_ssize_t>length, under.end - under.start)
    BIO_clear_retry_flags(bio)
    if n:
        memcpy(room, under.buffer + under.start, n)
        under.start += n
        return n
    if not stream.ended:
        BIO_set_retry_read(bio)
    return -1


cdef int transport_write(BIO* bio, const char* data, int length) noexcept:
    """`output` has room for what one call of OpenSSL writes."""
    global output_end
    BIO_clear_retry_flags(bio)
    if output_end + length > OUTPUT:
        return -1
    memcpy(output + output_end, data, length)
    output_end += length
    return length


cdef long transport_control(BIO* bio, int command, long number, void* pointer) noexcept:
    if command == BIO_CTRL_EOF:
        return (<SealedStream>BIO_get_data(bio)).ended and (<SealedStream>BIO_get_data(bio)).error == 0
    return command == BIO_CTRL_FLUSH

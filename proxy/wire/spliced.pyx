"""Bytes from one stream to another that need not be looked at. Between two TCP sockets they pass in the kernel.

Whoever moves a body says before each `fill` how many bytes follow of which only the number counts (`offer`). The fill
waits, is woken, cancelled and timed out as ever, but what it brings may then be `passing`, not in the buffer, and is to
be poured out before anything else is done with either stream. Whether it is, is for each fill to say: little is read as
always, and so is everything where there is no pipe.

Of a chunked body the data of a large chunk passes. Behind it a SIP is read, a line of framing with little of what
follows, so that the next chunk can pass too; and what is written of that waits for the data (MSG_MORE).
"""

from libc.errno cimport EAGAIN, EINTR, errno

from proxy.wire.passage cimport Passage
from proxy.wire.stream cimport FAILED, READY
from proxy.wire.tcp cimport MSG_MORE, MSG_NOSIGNAL, TcpStream, send

cdef enum:
    WORTH = 65536               # bytes still to come from which on a pipe costs less than a copy
    SIP = 64


cdef int offer(Stream source, Stream target, int64_t length) except -1:
    """The next `fill` of the source may have up to `length` bytes pass to the target."""
    cdef TcpStream tcp
    if type(source) is not TcpStream or type(target) is not TcpStream:
        return 0
    tcp = <TcpStream>source
    if length >= WORTH:
        if tcp.passage is None:
            tcp.passage = Passage()
        tcp.passage.offer(length)
        tcp.release()
    elif tcp.passage is not None:
        tcp.passage.offer(0)
        tcp.sip = SIP if length == 0 and tcp.passage.used else 0
    return 0


cdef Py_ssize_t passing(Stream source) noexcept:
    """How many of the source's bytes are on their way past its buffer."""
    if type(source) is not TcpStream or (<TcpStream>source).passage is None:
        return 0
    return (<TcpStream>source).passage.inside


cdef int put_next(
        Stream source, Stream target, const char* data, Py_ssize_t length, int64_t following) except? RAISED:
    """As `put`: of what passes, or, if nothing does, of `data`, which is followed by so much that may."""
    if passing(source):
        return pour((<TcpStream>source).passage, <TcpStream>target)
    if following >= WORTH and type(source) is TcpStream and (<TcpStream>source).sipped and type(target) is TcpStream:
        return put_ahead(<TcpStream>target, data, length)
    return target.put(data, length)


cdef int put_and_pour(
        Stream source, Stream target, const char* volatile_head, Py_ssize_t head_length) except? RAISED:
    """As `put_two`: of a head, and what passes."""
    cdef Passage passage = (<TcpStream>source).passage
    cdef int result = put_ahead(<TcpStream>target, volatile_head, head_length)
    if result == 0:
        return pour(passage, <TcpStream>target)
    passage.drop()
    return result


cdef int put_ahead(TcpStream target, const char* data, Py_ssize_t length) except? RAISED:
    """Puts what may wait for what is put next."""
    cdef Py_ssize_t n = 0
    if not target.closed:
        n = max(0, send(target.fd, data, length, MSG_NOSIGNAL | MSG_MORE))  # what went wrong, `put_two` meets too
        target.written += n
    return target.put_two(data + n, length - n, NULL, 0) if n < length else 0


cdef int pour(Passage passage, TcpStream target) except? RAISED:
    """Has all that is inside go to the target, waiting as `put` does: 0, FAILED or TIMED_OUT. Then nothing is inside."""
    cdef Py_ssize_t n
    cdef int waited = READY
    while passage.inside and waited == READY:
        n = passage.let_out(target.fd) if not target.closed else 0
        if n > 0:
            target.written += n
        elif target.closed or n < 0 and errno != EAGAIN and errno != EINTR:
            target.error = target.error or errno
            waited = FAILED
            break
        if passage.inside:
            waited = target.wait_writable(target.stall_ns / 1e9)
    if waited == READY:
        return 0
    passage.drop()
    return waited

"""The access log: Istio's text format (EnvoyTextLogFormat), or the same fields as JSON, one line a request.

Lines collect in a buffer that is written once in every turn of the event loop: nothing waits there longer than a turn,
and under load one write carries many lines. Several workers share the stream, so a write is whole lines only: appended
in one piece to a file; on a pipe at most PIPE_BUF bytes at a time, which the kernel keeps together. Writing never
blocks: the stream is a non-blocking description of our own, and what does not fit is dropped and counted.
"""

import os
import stat

from libc.errno cimport EINTR, errno
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strlen
from libc.time cimport gmtime_r, strftime, time_t, tm
from posix.unistd cimport write

from proxy.observe.plain cimport copy_plain, is_plain
from proxy.wire.stream cimport run_soon

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT
    int MSG_NOSIGNAL
    ssize_t send(int, const void*, size_t, int)

cdef enum:
    CAPACITY = 65536
    LINE = 4096                   # a line is never longer: PIPE_BUF, with the line feed
    WHOLE_FIELD = 2048            # ... but the path may be
    FILE_STREAM, PIPE_STREAM, SOCKET_STREAM


cdef class AccessLog:
    """`path` is a file name or "-" for standard output; `form` "text" or "json". OSError if it cannot be opened."""

    def __cinit__(self):
        self.fd = -1
        self.buffer = <char*>malloc(CAPACITY)
        if self.buffer == NULL:
            raise MemoryError

    def __init__(self, str path="-", str form="text"):
        self.path = path
        self.json = form == "json"
        self.flush_callback = self.flush
        self.reopen()

    def __dealloc__(self):
        free(self.buffer)

    def reopen(self) -> None:
        """Opens the file anew, after a rotation; what was collected goes to the old one. The old one stays on
        failure."""
        cdef int fresh = open_stream(self.path)
        self.flush()
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = fresh
        mode = os.fstat(fresh).st_mode
        self.kind = PIPE_STREAM if stat.S_ISFIFO(mode) else SOCKET_STREAM if stat.S_ISSOCK(mode) else FILE_STREAM

    def line(self, bytes text) -> None:
        """Adds a line that somebody else has made, such as an ejection's."""
        self.append(text, min(len(text), LINE - 1))

    cdef int add(self, Entry* entry) except -1:
        """Adds the line of one request."""
        cdef char* end
        cdef char* begin
        self.reserve()
        begin = self.buffer + self.used
        end = self.json_line(begin, entry) if self.json else self.text_line(begin, entry)
        end[0] = b"\n"
        self.used += end + 1 - begin
        return 0

    cdef int append(self, const char* line, Py_ssize_t length) except -1:
        self.reserve()
        memcpy(self.buffer + self.used, line, length)
        self.buffer[self.used + length] = b"\n"
        self.used += length + 1
        return 0

    cdef int reserve(self) except -1:
        """Room for one more line, and a flush to come."""
        if self.used + LINE > CAPACITY:
            self.flush()
        if not self.scheduled:
            self.scheduled = True
            run_soon(self.flush_callback)
        return 0

    # -- writing ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Writes what has collected; drops what the stream does not take now."""
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t piece
        cdef ssize_t written
        self.scheduled = False
        while at < self.used:
            piece = self.used - at
            if self.kind == PIPE_STREAM:
                piece = whole_lines(self.buffer + at, piece)
            written = self.write_some(self.buffer + at, piece)
            if written < 0 and errno == EINTR:
                continue
            if written < 0 or (written < piece and self.kind != FILE_STREAM):
                self.dropped += lines_in(self.buffer + at, piece)
                written = piece
            if written == 0:
                break
            at += written
        self.used = 0

    cdef ssize_t write_some(self, const char* data, Py_ssize_t length) noexcept:
        if self.kind == SOCKET_STREAM:
            return send(self.fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL)
        return write(self.fd, data, length)

    # -- formatting ---------------------------------------------------------------------------------------------------

    cdef char* put_time(self, char* out, int64_t wall_ns) noexcept:
        """2025-03-11T19:45:12.235Z"""
        cdef time_t second = wall_ns // 1_000_000_000
        cdef int ms = <int>(wall_ns % 1_000_000_000 // 1_000_000)
        cdef tm parts
        if second != self.stamp_second:
            gmtime_r(&second, &parts)
            strftime(self.stamp, sizeof(self.stamp), "%Y-%m-%dT%H:%M:%S.", &parts)
            self.stamp_second = second
        memcpy(out, self.stamp, 20)
        out[20] = c"0" + ms // 100
        out[21] = c"0" + ms // 10 % 10
        out[22] = c"0" + ms % 10
        out[23] = b"Z"
        return out + 24

    cdef char* text_line(self, char* out, Entry* e) noexcept:
        out[0] = b"["
        out = self.put_time(out + 1, e.started)
        out = put_literal(out, b'] "')
        out = put_escaped(out, &e.method, 64)
        out = put_literal(out, b" ")
        out = put_escaped(out, &e.path, WHOLE_FIELD)
        out = put_literal(out, b" ")
        out = put_text(out, &e.protocol, 16)
        out = put_literal(out, b'" ')
        out = put_number(out, e.status)
        out = put_literal(out, b" ")
        out = put_text(out, &e.flags, 64)
        out = put_literal(out, b" ")
        out = put_text(out, &e.details, 256)
        out = put_literal(out, b' - "')
        out = put_escaped(out, &e.transport_failure, 128)
        out = put_literal(out, b'" ')
        out = put_number(out, e.bytes_received)
        out = put_literal(out, b" ")
        out = put_number(out, e.bytes_sent)
        out = put_literal(out, b" ")
        out = put_number(out, e.duration_ms)
        out = put_literal(out, b" ")
        out = put_number(out, e.service_ms)
        out = put_literal(out, b' "')
        out = put_escaped(out, &e.forwarded_for, 128)
        out = put_literal(out, b'" "')
        out = put_escaped(out, &e.user_agent, 256)
        out = put_literal(out, b'" "')
        out = put_escaped(out, &e.request_id, 128)
        out = put_literal(out, b'" "')
        out = put_escaped(out, &e.authority, 256)
        out = put_literal(out, b'" "')
        out = put_text(out, &e.endpoint, 64)
        out = put_literal(out, b'" ')
        out = put_text(out, &e.cluster, 256)
        out = put_literal(out, b" ")
        out = put_text(out, &e.endpoint_local, 64)
        out = put_literal(out, b" ")
        out = put_text(out, &e.local, 64)
        out = put_literal(out, b" ")
        out = put_text(out, &e.peer, 64)
        out = put_literal(out, b" - ")
        return put_escaped(out, &e.route if e.raw or e.route.length else &NO_ROUTE, 128)

    cdef char* json_line(self, char* out, Entry* e) noexcept:
        out = put_literal(out, b'{"start_time":"')
        out = self.put_time(out, e.started)
        out = put_literal(out, b'"')
        out = put_json(out, b"method", &e.method, 64)
        out = put_json(out, b"path", &e.path, 896)
        out = put_json(out, b"protocol", &e.protocol, 16)
        out = put_json_number(out, b"response_code", e.status)
        out = put_json(out, b"response_flags", &e.flags if e.flags.length else &NO_FLAGS, 64)
        out = put_json(out, b"response_code_details", &e.details, 192)
        out = put_literal(out, b',"connection_termination_details":null')
        out = put_json(out, b"upstream_transport_failure_reason", &e.transport_failure, 128)
        out = put_json_number(out, b"bytes_received", e.bytes_received)
        out = put_json_number(out, b"bytes_sent", e.bytes_sent)
        out = put_json_number(out, b"duration", e.duration_ms)
        out = put_json_number(out, b"upstream_service_time", e.service_ms)
        out = put_json(out, b"x_forwarded_for", &e.forwarded_for, 128)
        out = put_json(out, b"user_agent", &e.user_agent, 192)
        out = put_json(out, b"request_id", &e.request_id, 96)
        out = put_json(out, b"authority", &e.authority, 256)
        out = put_json(out, b"host", &e.host, 256)
        out = put_json(out, b"upstream_host", &e.endpoint, 64)
        out = put_json(out, b"upstream_cluster", &e.cluster, 256)
        out = put_json(out, b"upstream_local_address", &e.endpoint_local, 64)
        out = put_json(out, b"downstream_local_address", &e.local, 64)
        out = put_json(out, b"downstream_remote_address", &e.peer, 64)
        out = put_json(out, b"downstream_peer_uri_san", &e.identity, 256)
        out = put_json(out, b"upstream_failed_attempts", &e.failed_attempts, 200)
        out = put_literal(out, b',"requested_server_name":null')
        if e.shadow.length:
            out = put_json(out, b"authorization_shadow", &e.shadow, 400)
        out = put_json(out, b"route_name", &e.route if e.raw or e.route.length else &NO_ROUTE, 128)
        return put_literal(out, b"}")


# Words in JSON too, as Envoy's, which dashboards group by.
cdef Text NO_FLAGS = Text(at=b"-", length=1)
cdef Text NO_ROUTE = Text(at=b"default", length=7)


cdef int open_stream(str path) except -1:
    """A description of our own, so that O_NONBLOCK touches nobody else who has the same stream."""
    if path != "-":
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o644)
    try:
        return os.open("/proc/self/fd/1", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return os.dup(1)      # a socket, which send() is told not to wait for, or a stream not ours to open


cdef Py_ssize_t whole_lines(const char* data, Py_ssize_t length) noexcept:
    """How much of it is whole lines within LINE bytes."""
    cdef Py_ssize_t end
    if length <= LINE:
        return length
    end = LINE
    while end > 0 and data[end - 1] != b"\n":
        end -= 1
    return end


cdef int lines_in(const char* data, Py_ssize_t length) noexcept:
    cdef int n = 0
    cdef Py_ssize_t at
    for at in range(length):
        n += data[at] == b"\n"
    return n


cdef inline char* put_literal(char* out, const char* text) noexcept:
    cdef size_t length = strlen(text)       # known to the compiler, as the text is
    memcpy(out, text, length)
    return out + length


cdef inline char* put_text(char* out, Text* text, Py_ssize_t limit) noexcept:
    cdef Py_ssize_t length = text.length
    if length == 0:
        out[0] = b"-"
        return out + 1
    if length > limit:
        length = limit
    memcpy(out, text.at, length)
    return out + length


cdef char* put_escaped(char* out, Text* text, Py_ssize_t limit) noexcept:
    """What somebody else wrote, in at most `limit` bytes: it cannot end its field or its line, and no terminal acts on
    it. Quotes, backslashes, and what is neither printable ASCII nor UTF-8 are written as \\xNN, as nginx does."""
    cdef Py_ssize_t at = copy_plain(out, text.at, min(text.length, limit))
    if text.length == 0:
        return put_literal(out, b"-")
    if at == text.length:
        return out + at
    return put_rest(out + at, out + limit, text, at)


cdef char* put_rest(char* out, char* end, Text* text, Py_ssize_t at) noexcept:
    """The text from `at` on, one octet or character after the other."""
    cdef int length
    cdef unsigned char c
    while at < text.length and out < end:
        c = <unsigned char>text.at[at]
        length = 1
        if is_plain(c):
            out[0] = <char>c
            out += 1
        else:
            length = put_odd(&out, end, <const unsigned char*>text.at + at, text.length - at)
            if length == 0:
                break
        at += length
    return out


cdef int put_odd(char** out, char* end, const unsigned char* at, Py_ssize_t left) noexcept:
    """A character that is UTF-8, or one byte escaped: how many bytes it was; 0: there is no room for it."""
    cdef int length = utf8(at, left) if at[0] >= 0x80 else 0
    if out[0] + (length or 4) > end:
        return 0
    if length:
        memcpy(out[0], at, length)
        out[0] += length
        return length
    out[0] += snprintf(out[0], 5, b"\\x%02X", <unsigned>at[0])
    return 1


cdef char* put_number(char* out, int64_t value) noexcept:
    """Decimal digits; "-" for a number below zero, which here means there is none."""
    cdef char digits[24]
    cdef int n = 0
    if value < 10:
        out[0] = b"-" if value < 0 else c"0" + <char>value
        return out + 1
    while True:
        digits[n] = c"0" + <char>(value % 10)
        n += 1
        value //= 10
        if value == 0:
            break
    while n:
        n -= 1
        out[0] = digits[n]
        out += 1
    return out


cdef char* put_key(char* out, const char* key) noexcept:
    out = put_literal(out, b',"')
    out = put_literal(out, key)
    return put_literal(out, b'":')


cdef char* put_json_number(char* out, const char* key, int64_t value) noexcept:
    out = put_key(out, key)
    return put_literal(out, b"null") if value < 0 else put_number(out, value)


cdef int utf8(const unsigned char* at, Py_ssize_t left) noexcept:
    """How many bytes the character at `at` has if it is UTF-8 beyond ASCII (RFC 3629 4), and none that is no text but
    has a terminal or an editor do something; 0: as bytes, then, each escaped."""
    cdef unsigned char first = at[0]
    cdef int length = 2 if 0xc2 <= first <= 0xdf else 3 if first >> 4 == 0xe else 4 if 0xf0 <= first <= 0xf4 else 0
    cdef int index
    cdef unsigned code
    if length == 0 or length > left:
        return 0
    code = first & (0x7f >> length)
    for index in range(1, length):
        if at[index] >> 6 != 2:
            return 0
        code = code << 6 | (at[index] & 0x3f)
    if length == 3 and code < 0x800 or length == 4 and code < 0x10000 or code > 0x10ffff or 0xd800 <= code <= 0xdfff:
        return 0        # written longer than need be, or no character
    return 0 if code < 0xa0 or is_directive(code) else length


cdef inline bint is_directive(unsigned code) noexcept:
    """Marks and separators that change how what follows is shown, and byte order marks."""
    return (0x200b <= code <= 0x200f or 0x2028 <= code <= 0x202e or 0x2060 <= code <= 0x206f or code == 0x61c or
            code == 0xfeff)


cdef char* put_json(char* out, const char* key, Text* text, Py_ssize_t limit) noexcept:
    """A string as JSON in at most `limit` bytes: what is UTF-8 as it is, other bytes as if they were Latin-1, so that
    any header value is valid."""
    cdef Py_ssize_t at = 0
    cdef int length
    cdef unsigned char c
    cdef char* last
    out = put_key(out, key)
    if text.length == 0:
        return put_literal(out, b"null")
    out[0] = b'"'
    out += 1
    last = out + limit - 6
    while at < text.length and out <= last:
        c = <unsigned char>text.at[at]
        length = utf8(<const unsigned char*>text.at + at, text.length - at) if c >= 0x80 else 1
        if c == b'"' or c == b"\\":
            out[0] = b"\\"
            out[1] = c
            out += 2
        elif length and c >= 0x20 and c != 0x7f:
            memcpy(out, text.at + at, length)
            out += length
        else:
            out += snprintf(out, 8, b"\\u%04x", <unsigned>c)
            length = 1
        at += length
    out[0] = b'"'
    return out + 1

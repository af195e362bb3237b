"""Trailers: which may be passed on, and how.

A recipient may leave out what it does not want there (RFC 9110 6.5.1, RFC 9112 7.1.2): we leave out what frames,
routes, controls or authenticates a message, or is ours to set. The message they come with is none the worse for it.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memchr

from proxy.wire.http.head cimport DATE, GRPC_STATUS, OTHER, SERVER, USER_AGENT
from proxy.wire.http.names cimport grpc_status_of, kind_of, span_of
from proxy.wire.http.octets cimport CR, LF, TOKEN, is_blank, same, skip, skip_blanks


cdef bint is_one_of(const char* name, uint32_t length, const char* words) noexcept nogil:
    """Whether a name is among lower-case words that are separated, and ended, by single blanks."""
    cdef uint32_t at = 0
    while words[0] != 0:
        at = 0
        while words[at] != c" ":
            at += 1
        if at == length and same(name, words, length):
            return True
        words += at + 1
    return False


cdef bint forbidden(const char* name, uint32_t length) noexcept nogil:
    """Whether a field may not come as a trailer: it frames, routes, controls or authenticates, or is ours to set."""
    cdef int kind = kind_of(name, length)
    if kind == GRPC_STATUS or length == 12 and same(name, b"grpc-message", 12):     # the most frequent ones
        return False
    if kind != OTHER and kind != DATE and kind != SERVER and kind != USER_AGENT:
        return True
    return (length > 12 and same(name, b"x-forwarded-", 12) or is_one_of(
        name, length,
        b"trailer forwarded authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie "
        b"content-encoding content-range max-forwards cache-control range if-match if-none-match "))


cdef int grpc_status_in(Text* lines) noexcept nogil:
    """The grpc-status among `lines`, which are as write_trailers has them; -1: none, or none that is a number."""
    cdef const char* data = lines.at
    cdef uint32_t name = 0, end, value, after
    while data[name] != CR and data[name] != LF:
        end = skip(data, name, TOKEN)
        after = <uint32_t>(<const char*>memchr(data + end, LF, lines.length - end) - data) + 1
        if kind_of(data + name, end - name) == GRPC_STATUS:
            value = skip_blanks(data, skip_blanks(data, end) + 1)
            end = skip(data, value, TOKEN)
            return grpc_status_of(data, span_of(value, end - value))
        name = after
    return -1


cdef bint write_trailers(Text* out, Text* lines) noexcept nogil:
    """Adds those of `lines` that go on, each on one line, without the empty line at their end. False: no memory. Body
    has found each of them to be a name, a colon and a value, which may be folded and may end in LF alone."""
    cdef const char* data = lines.at
    cdef uint32_t name = 0, colon, end, next_line
    cdef bint kept, fine = True
    while data[name] != CR and data[name] != LF and fine:
        end = skip(data, name, TOKEN)
        colon = skip_blanks(data, end)
        kept = not forbidden(data + name, end - name)
        if kept:
            fine = append(out, data + name, end - name)
        end = colon
        while True:
            next_line = <uint32_t>(<const char*>memchr(data + end, LF, lines.length - end) - data) + 1
            if kept:
                fine = fine and append(out, data + end, next_line - end - (2 if data[next_line - 2] == CR else 1))
            if not is_blank(data[next_line]):
                break
            end = next_line             # a fold: the blanks it begins with take its place
        if kept:
            fine = fine and append(out, b"\r\n", 2)
        name = next_line
    return fine

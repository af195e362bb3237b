"""What routes change of a head's fields: made once, with the plan, and gone by in the one pass that writes the head.

Not to be touched is what frames a message or says how it travels: that is the connection's and ours (RFC 9110 7.6.1).
How much one head grows is bounded here, so that every head that was accepted has room with what is put into it
(http1.HEAD_ROOM, http2/http_stream.pyx).
"""

cimport cython
from libc.stdlib cimport calloc, free

from proxy.wire.http.authority cimport is_authority
from proxy.wire.http.head cimport HOST
from proxy.wire.http.octets cimport TOKEN, VALUE, equal_fold, is_a

cdef frozenset UNTOUCHED = frozenset((
    b"connection", b"content-length", b"expect", b"host", b"http2-settings", b"keep-alive", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade",
))
cdef dict OURS = {
    b"x-forwarded-proto": OWN_PROTO, b"x-request-id": OWN_REQUEST_ID, b"date": OWN_DATE, b"server": OWN_SERVER,
    b"x-envoy-upstream-service-time": OWN_SERVICE_TIME,
}


def may_edit(bytes name) -> bool:
    """Whether a field of that name, in lower case, is anybody's to set or remove."""
    return name not in UNTOUCHED and not name.startswith(b":")


@cython.final
cdef class Edits:
    """Fields of the names `gone` do not go on, `lines` come behind those that do, `host` takes the place of a request's.
    Names are in lower case. Raises ValueError for what is no field, is not to be touched, or is too much."""

    def __init__(self, set gone, list lines, bytes host=None):
        cdef list texts = [b"%s: %s\r\n" % line for line in lines]
        for name in [*gone, *(line[0] for line in lines)]:
            check_name(name)
        for _, value in lines:
            check_value(value)
        if host is not None:
            check_host(host)
        self.lines, self.host, self.gone = b"".join(texts), host, frozenset(gone)
        if len(lines) > MOST_LINES or len(self.lines) + len(host or b"") > EDIT_ROOM:
            raise ValueError(f"more than {MOST_LINES} header lines, or {EDIT_ROOM} bytes of them, are put into one head")
        for name in OURS:
            if name in self.gone or self.lines.startswith(name + b":") or b"\n%s:" % name in self.lines:
                self.named |= OURS[name]
        self.note_names()

    def note_names(self) -> None:
        self.names = <Name*>calloc(max(1, len(self.gone)), sizeof(Name))
        if self.names == NULL:
            raise MemoryError
        for name in self.gone:
            self.names[self.count].text, self.names[self.count].length = <bytes>name, len(name)
            self.lengths |= <uint64_t>1 << (len(name) & 63)
            self.count += 1

    def __dealloc__(self):
        free(self.names)

    cdef bytes kept(self, bytes text):
        """Of these lines those that go on."""
        cdef list lines = text.splitlines(keepends=True)
        return b"".join([line for line in lines if line.partition(b":")[0].lower() not in self.gone])

    cdef bint drops(self, const char* text, const Field* field) noexcept:
        """Whether this field of the head at `text` does not go on."""
        cdef int at
        if self.lengths >> (field.name_length & 63) & 1:
            for at in range(self.count):
                if self.names[at].length == field.name_length and equal_fold(
                        text + field.name, self.names[at].text, field.name_length):
                    return True
        return self.host is not None and field.kind == HOST


cdef int check_name(bytes name) except -1:
    cdef unsigned char octet
    if not may_edit(name) or not name:
        raise ValueError(f"header {name.decode('latin-1')!r} is not a route's to change")
    for octet in name:
        if not is_a(octet, TOKEN):
            raise ValueError(f"header {name.decode('latin-1')!r} is no field name")
    return 0


cdef int check_value(bytes value) except -1:
    cdef unsigned char octet
    for octet in value:
        if not is_a(octet, VALUE):
            raise ValueError(f"header value {value.decode('latin-1')!r} has a control character")
    return 0


cdef int check_host(bytes host) except -1:
    if not host or not is_authority(host, len(host), False):
        raise ValueError(f"{host.decode('latin-1')!r} is no host")
    return 0

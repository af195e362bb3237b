"""The handshake of WebSocket as HTTP/1.1 has it (RFC 6455 4). HTTP/2 has none (RFC 8441 5): who translates between the two
asks with a key of its own, and answers a client's key itself.

Of names, those of a head are compared in any case; what they are looked for by is in lower case.
"""

from base64 import b64decode, b64encode
from binascii import Error
from hashlib import sha1

from proxy.wire.http.head cimport M_GET, NOMINATED, OTHER, UPGRADE, Field
from proxy.wire.http.names cimport is_called, is_text

cdef bytes GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

cdef enum:
    KEY_OCTETS = 16


cdef bint asks_for_websocket(Head head, const char* text) noexcept:
    """Whether a request offers this protocol, and no other. With another method than GET it is none (4.1): in HTTP/2 its
    method would be lost, which rules have gone by."""
    cdef int index, offers = 0
    for index in range(head.count):
        offers += head.fields[index].kind == UPGRADE
    return head.upgrade and offers == 1 and head.method == M_GET and is_text(text, head.upgrade_to, b"websocket", 9)


cdef bytes only_value(Head head, const char* text, const char* name, uint32_t length):
    """The value of the one field of that name; None: there is none, or more than one."""
    cdef Field* field
    cdef int index
    cdef bytes found = None
    for index in range(head.count):
        field = head.fields + index
        if is_called(text, field, name, length):
            if found is not None:
                return None
            found = (text + field.value)[:field.value_length]
    return found


cdef bytes key_of(Head head, const char* text):
    """A request's key; None if it has none that is one (4.2.1)."""
    cdef bytes found = only_value(head, text, b"sec-websocket-key", 17)
    try:
        return found if found is not None and len(b64decode(found, validate=True)) == KEY_OCTETS else None
    except Error:
        return None


cdef bytes accept_of(bytes key):
    """What answers that key."""
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


cdef bint accepts(Head head, const char* text, bytes key) except -1:
    """Whether a 101 says that whoever sent it speaks WebSocket, and has read this key (4.1)."""
    return is_text(text, head.upgrade_to, b"websocket", 9) and only_value(
        head, text, b"sec-websocket-accept", 20) == accept_of(key)


cdef void withhold(Head head, const char* text, const char* name, uint32_t length, bint withheld) noexcept:
    """The fields of that name do not go on; or do again."""
    cdef Field* field
    cdef int index
    for index in range(head.count):
        field = head.fields + index
        if field.kind in (OTHER, NOMINATED) and is_called(text, field, name, length):
            field.kind = NOMINATED if withheld else OTHER

# The handshake of WebSocket; theory in websocket.pyx.
from libc.stdint cimport uint32_t

from proxy.wire.http.head cimport Head

cdef bint asks_for_websocket(Head head, const char* text) noexcept
cdef bytes key_of(Head head, const char* text)
cdef bytes accept_of(bytes key)
cdef bint accepts(Head head, const char* text, bytes key) except -1
cdef void withhold(Head head, const char* text, const char* name, uint32_t length, bint withheld) noexcept

"""What of a request is hashed (`consistentHash` of a DestinationRule), and the number that it gives.

Envoy's hash policies: of a header all values, in whatever order; of a cookie the value, without quotes; of a query
parameter the first value, as it stands in the request; of the source the address, which behind a ztunnel is that of the
client's pod. A request that has none of it goes to any endpoint.
"""

import os

from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp

from proxy.policy.balance.consistent_hash cimport hash_of
from proxy.wire.http.head cimport Field
from proxy.wire.http.names cimport is_called, is_text, span_of
from proxy.wire.http.octets cimport trim

cdef dict KINDS = {"header": BY_HEADER, "cookie": BY_COOKIE, "query": BY_QUERY, "source_ip": BY_SOURCE_IP}


cdef class HashKey:
    """As a snapshot's HashForm says."""

    def __init__(self, dict form):
        self.kind = KINDS[form["kind"]]
        self.name = form["name"].encode()
        if form["set_cookie"] is not None:
            self.set_cookie = form["set_cookie"].encode()

    cdef uint64_t of_request(self, Head head, Stream client) noexcept:
        """The number of what the request has, never 0; 0 if it has nothing."""
        if self.kind == BY_HEADER:
            return self.of_header(head, client.buffer)
        if self.kind == BY_COOKIE:
            return self.of_cookie(head, client.buffer)
        if self.kind == BY_QUERY:
            return self.of_query(client.buffer, head.path)
        return self.of_client(client)

    cdef uint64_t of_client(self, Stream client) noexcept:
        """The same of a connection that carries no requests."""
        cdef Py_ssize_t length = len(client.peer)
        cdef const char* text = client.peer
        if self.kind != BY_SOURCE_IP:
            return 0
        while length and text[length - 1] != c":":
            length -= 1
        return key_of(text, length - 1) if length > 1 else 0

    cdef bytes new_cookie(self, uint64_t* number):
        """A field of the answer to a client that has no such cookie, and the number of its value."""
        cdef bytes value = os.urandom(8).hex().encode()
        number[0] = key_of(value, len(value))
        return b'set-cookie: ' + self.name + b'="' + value + b'"' + self.set_cookie + b"\r\n"

    cdef uint64_t of_header(self, Head head, const char* text) noexcept:
        cdef uint64_t number = 0
        cdef Field* field
        cdef int index
        for index in range(head.count):
            field = &head.fields[index]
            if is_called(text, field, self.name, len(self.name)):
                number += key_of(text + field.value, field.value_length)
        return number

    cdef uint64_t of_cookie(self, Head head, const char* text) noexcept:
        cdef uint64_t number
        cdef Field* field
        cdef int index
        for index in range(head.count):
            field = &head.fields[index]
            if is_text(text, span_of(field.name, field.name_length), b"cookie", 6):
                number = of_pair(text + field.value, field.value_length, self.name, c";")
                if number:
                    return number
        return 0

    cdef uint64_t of_query(self, const char* text, Span path) noexcept:
        cdef const char* begin = text + path.at
        cdef const char* mark = <const char*>memchr(begin, c"?", path.length)
        if mark == NULL:
            return 0
        return of_pair(mark + 1, begin + path.length - mark - 1, self.name, c"&")


cdef uint64_t of_pair(const char* text, Py_ssize_t length, bytes name, char between) noexcept:
    """The number of the value of the first `name=value` among those that are divided by `between`, 0 if there is
    none."""
    cdef Py_ssize_t size = len(name), begin = 0, end, start, stop
    while begin < length:
        end = begin
        while end < length and text[end] != between:
            end += 1
        start = begin
        while start < end and text[start] == c" ":
            start += 1
        if end - start > size and memcmp(text + start, <const char*>name, size) == 0 and text[start + size] == c"=":
            start += size + 1
            stop = trim(text, start, end)
            if between == c";" and stop - start > 1 and text[start] == c'"' and text[stop - 1] == c'"':
                start, stop = start + 1, stop - 1
            return key_of(text + start, stop - start)
        begin = end + 1
    return 0


cdef uint64_t key_of(const char* octets, Py_ssize_t length) noexcept:
    cdef uint64_t number = hash_of(<const unsigned char*>octets, length)
    return number if number else 1

"""A head that comes in fields, as Python objects: for tests, never on the path of a request."""

from proxy.wire.http.head cimport Head
from proxy.wire.http.names cimport method_of

from tests.instruments import inspect


def filled(bytes first, list fields, int answer_to=-1):
    """What comes of a head with this first line and these fields, each taken as it comes: of a request, or of an answer
    in HTTP/2 to one of that head.Method. With it the text that was laid out, and whether each field is one line there."""
    cdef Head head = Head(lenient=answer_to >= 0)
    cdef bytearray text = bytearray(HEAD_BYTES)
    cdef char* at = text
    cdef Py_ssize_t size = 0, end
    cdef bint one_each = True
    head.both_framings = answer_to >= 0
    text[:len(first)] = first
    size = len(first)
    if answer_to < 0:
        method, target, _ = first.split(b" ")
        head.take_request_line(len(method), len(target), method_of(method, len(method)))
    else:
        head.take_status_line(at, size)
    for name, value in fields:
        line = b"%s: %s\r\n" % (name, value)
        end = size + len(line)
        text[size:end] = line
        one_each = head.take_line(at, size, len(name), end) and one_each
        size = end
    text[size:size + 2] = b"\r\n"
    size += 2
    came = bytes(text[:size])
    if answer_to < 0:
        head.end_request(at, size)
    else:
        head.end_response(at, size, answer_to)
    assert len(text) == HEAD_BYTES
    return inspect.outcome(head, bytes(text[:size])), came, one_each


cdef enum:
    HEAD_BYTES = 131072

# Writing HTTP/1.1 heads; rules in http1.pyx.
from libc.stdint cimport int64_t

from proxy.wire.http.edits cimport EDIT_ROOM, Edits
from proxy.wire.http.head cimport MAX_HEAD, Head

cdef enum:
    # Holds any head that is accepted, with what we add, what edits do, and another path, as long as one may be.
    HEAD_ROOM = 2 * MAX_HEAD + EDIT_ROOM + 4096
    REQUEST_ID = 36

cdef Py_ssize_t write_request(
    char* out, const char* source, Head head, bint upgrade, const char* request_id, Edits edits, bytes path) noexcept
cdef Py_ssize_t write_response(
    char* out, const char* source, Head head, bint rechunk, bint close, int64_t service_ms,
    const char* date_line, Edits edits) noexcept
cdef Py_ssize_t write_request_lines(
    char* out, const char* source, Head head, const char* request_id, Edits edits, bytes path) noexcept
cdef Py_ssize_t write_response_lines(
    char* out, Head head, int64_t service_ms, const char* date_line, Edits edits) noexcept
cdef bytes edited(bytes reply, Edits edits)
cdef Py_ssize_t add_line(char* lines, Py_ssize_t length, bytes line) noexcept
cdef Py_ssize_t add_field(char* head, Py_ssize_t length, bytes line) noexcept
cdef Py_ssize_t write_interim(char* out, const char* source, Head head) noexcept
cdef Py_ssize_t write_chunk_size(char* out, Py_ssize_t size, bint first) noexcept
cdef bytes local_reply(int status, bytes body, bint head_only, bint close, const char* date_line)
cdef int grpc_status_for(int status, int grpc_status) except -1
cdef bytes grpc_reply(int grpc_status, bytes body, bint close, const char* date_line)

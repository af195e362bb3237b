# The fields of a head or of trailers for nghttp2; theory in fields.pyx.
from proxy.wire.http.edits cimport Edits
from proxy.wire.http.head cimport Head
from proxy.wire.http2.nghttp2 cimport nghttp2_nv

cdef nghttp2_nv* fields         # of the head that is being written; free again before anybody else runs
cdef void set_field(nghttp2_nv* field, const char* name, size_t name_length, const char* value, size_t length) noexcept
cdef size_t request_fields(
    const char* source, Head head, Edits edits, bytes path, const char* scheme, const char* lines, Py_ssize_t length) noexcept
cdef size_t response_fields(
    const char* source, Head head, Edits edits, char* status, const char* lines, Py_ssize_t length) noexcept
cdef size_t reply_fields(const char* text, Head head) noexcept
cdef size_t trailer_fields(const char* text, Head trailers) noexcept
cdef size_t add_lines(size_t count, const char* text, Py_ssize_t length) noexcept

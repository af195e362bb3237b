# A parsed head: offsets into its bytes, no Python object per field. Rules in head.pyx.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef enum:
    MAX_FIELDS = 100            # Envoy's max_headers_count
    MAX_HEAD = 61440            # 60 KiB: Envoy's max_request_headers_kb

cdef enum Kind:                 # what a field is to a proxy; OTHER: nothing special, forward
    OTHER, HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, TE, UPGRADE, EXPECT,
    DATE, SERVER, X_REQUEST_ID, X_FORWARDED_PROTO, X_FORWARDED_FOR, USER_AGENT, X_FORWARDED_CLIENT_CERT,
    X_ENVOY,                    # any x-envoy-* without a kind of its own
    X_ENVOY_ORIGINAL_PATH, X_ENVOY_UPSTREAM_SERVICE_TIME, CONTENT_TYPE,
    GRPC_STATUS,
    HTTP2_SETTINGS,             # hop-by-hop even if Connection does not say so
    NOMINATED                   # Connection names it: hop-by-hop

cdef enum Framing:              # how the body ends; a content-length of 0 is NO_BODY
    NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE,
    PIECES                      # ... with its stream, of HTTP/2; to its head it is CHUNKED

cdef enum Method:
    M_OTHER, M_GET, M_HEAD, M_POST, M_PUT, M_DELETE, M_OPTIONS, M_TRACE, M_CONNECT, M_PATCH

cdef enum Coding:               # what Transfer-Encoding says
    NO_CODING, CHUNKED_CODING, IDENTITY_CODING, OTHER_CODING

cdef enum Result:               # what scan and parse say besides a size; no number of wire.stream's Io but 0
    INCOMPLETE = 0
    BAD = -11                   # 400
    TOO_LARGE = -12             # 431
    TOO_MANY_FIELDS = -13       # 431
    LOW_VERSION = -14           # 426: well formed, but HTTP/1.0 or older
    NOT_IMPLEMENTED = -15       # 501: well formed, but with a transfer coding other than chunked
    NO_HTTP = -16               # of a response: not even the beginning of one
    UNKNOWN_PROTOCOL = -17      # 501: well formed, but an extended CONNECT for what we do not translate

cdef struct Field:
    uint32_t name, value        # offsets from the first byte of the head
    uint32_t name_length, value_length
    uint32_t line_end           # just past this line's end; the line starts at `name`
    uint16_t kind

cdef struct Span:               # a piece of the head; absent: both 0
    uint32_t at, length


@cython.final
cdef class Head:
    cdef Field* fields          # `most_fields` of them, allocated once
    cdef int count, most_fields
    cdef Py_ssize_t largest     # head, in bytes
    cdef bint lenient           # it reads responses: what can be understood in one way only is taken
    cdef bint both_framings     # it came in HTTP/2, where a content-length may stand beside our chunks
    cdef uint32_t size          # bytes of the head, blank line included
    cdef uint32_t fields_at     # just past the first line
    cdef uint32_t fields_end    # where the blank line begins
    cdef bint bare_lf           # a line ends in LF alone
    cdef int minor              # HTTP/1.<minor>; 1 for what is higher
    # request line
    cdef int method
    cdef Span method_text, target
    cdef Span authority         # Host's value, or the authority of an absolute-form or authority-form target
    cdef Span path              # what to send on as target: an absolute-form cut down to origin-form, else the target
    cdef bint absolute_form
    cdef bint https             # the scheme it was asked for with, as far as it says: an absolute form's, or :scheme
    cdef bint secured           # it came under TLS of the client's own
    # status line
    cdef int status
    cdef Span reason
    # fields
    cdef int framing
    cdef int64_t content_length     # -1: the head has none
    cdef bint own_length            # it goes on as a field of ours: theirs is padded, or there are several
    cdef bint close, keep_alive     # Connection options; close is set, too, where nothing may follow on the connection
    cdef bint upgrade               # Connection: upgrade and an Upgrade field, and no body
    cdef bint expect_continue, te_trailers, has_date, has_server
    cdef bint grpc                  # content-type application/grpc or application/grpc+*
    cdef int grpc_status            # -1: none, or none that is a number
    cdef Span request_id, forwarded_for, user_agent, forwarded_proto, upgrade_to
    cdef Span host              # while parsing, with the counts of Host fields and Connection options
    cdef int hosts, options, coding
    cdef bint nominates         # Connection names a field
    cdef const char* fault      # why it is BAD, a few words for the debug log; NULL: it is not
    # one that comes in fields
    cdef int result             # 0 so far, or the negative Result
    cdef bint whole             # its last one has come

    cdef int scan(self, const char* data, Py_ssize_t length, Py_ssize_t* scanned) noexcept nogil
    cdef int parse_request(self, char* data, uint32_t size) noexcept nogil
    cdef int parse_response(self, char* data, uint32_t size, int request_method) noexcept nogil
    cdef void clear(self) noexcept nogil

    cdef void take_request_line(self, uint32_t method_length, uint32_t target_length, int method) noexcept nogil
    cdef void take_status_line(self, const char* data, uint32_t end) noexcept nogil
    cdef bint take_line(self, char* data, uint32_t at, uint32_t name_length, uint32_t end) noexcept nogil
    cdef int end_request(self, char* data, uint32_t size) noexcept nogil
    cdef int end_response(self, char* data, uint32_t size, int request_method) noexcept nogil

    cdef int bad(self, const char* fault) noexcept nogil
    cdef int end_of_line(self, const char* data, Py_ssize_t at) noexcept nogil
    cdef int end_of_line_leniently(self, const char* data, Py_ssize_t at) noexcept nogil
    cdef void measure(self, const char* data, uint32_t size) noexcept nogil
    cdef uint32_t behind_line(self, const char* data, uint32_t at) noexcept nogil
    cdef int request_line(self, const char* data, uint32_t start) noexcept nogil
    cdef bint read_version(self, const char* text) noexcept nogil
    cdef int status_line(self, const char* data, uint32_t start) noexcept nogil
    cdef int settle_request(self, char* data) noexcept nogil
    cdef int read_fields(self, char* data) noexcept nogil
    cdef int read_field(self, char* data, uint32_t* at) noexcept nogil
    cdef void end_fields(self, const char* data) noexcept nogil
    cdef uint32_t read_name(self, char* data, uint32_t at) noexcept nogil
    cdef uint32_t unfold(self, char* data, Field* field, uint32_t* end) noexcept nogil
    cdef int note(self, const char* data, int kind, Span value) noexcept nogil
    cdef void keep(self, int kind, Span value) noexcept nogil

# DATA frames out of the writers' own memory; theory in frames.pyx.
from libc.stdint cimport uint8_t

from proxy.wire.http2.nghttp2 cimport nghttp2_data_provider, nghttp2_data_source, nghttp2_frame, nghttp2_session
from proxy.wire.http2.stream cimport Http2Stream

cdef nghttp2_data_provider body_of(Http2Stream stream) noexcept
cdef int send_frame(
    nghttp2_session* h2, nghttp2_frame* frame, const uint8_t* header, size_t length, nghttp2_data_source* source,
    void* data) noexcept

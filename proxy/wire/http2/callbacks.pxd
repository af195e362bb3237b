# What nghttp2 calls, and the options it is made with; theory in callbacks.pyx.
from proxy.wire.http2.nghttp2 cimport nghttp2_option, nghttp2_session_callbacks

cdef nghttp2_session_callbacks* input_callbacks
cdef nghttp2_option* input_options
cdef nghttp2_option* client_options

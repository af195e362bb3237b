# distutils: libraries = nghttp2
"""What nghttp2 calls with what it has made of a connection's bytes. None of it raises, and none may switch greenlets:
an exception is kept for the one who reads (`failed`), and ends the connection.
"""

from libc.string cimport memcpy

from proxy.wire.http2.closed cimport FRAME_HEAD
from proxy.wire.http2.flow cimport arrived, connection_grew, first_window, stream_grew
from proxy.wire.http2.frames cimport send_frame
from proxy.wire.http2.input cimport HEADER_LIST, Input
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.output cimport FRAME, failed, may_go_on
from proxy.wire.http2.stream cimport Http2Stream

cdef enum:
    PREFACE_MAX_SETTINGS = 32
    MAX_FIELD_BYTES = 262144    # of one stream; far more than any head that is accepted, which is told why before this


cdef int on_begin_headers(nghttp2_session* h2, const nghttp2_frame* frame, void* data) noexcept:
    cdef Input session = <Input>data
    cdef Http2Stream stream
    session.heading = frame.hd.stream_id
    session.headed = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
    if frame.hd.type != NGHTTP2_HEADERS or frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        stream = session.make_stream()
        if stream is None:
            nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_REFUSED_STREAM)
            return 0
        session.attach(stream, frame.hd.stream_id)
        nghttp2_session_set_stream_user_data(h2, frame.hd.stream_id, <void*>stream)
        session.headed = <void*>stream
        return 0
    except BaseException:
        return failed(session)


cdef int on_header(
        nghttp2_session* h2, const nghttp2_frame* frame, const uint8_t* name, size_t name_length, const uint8_t* value,
        size_t value_length, uint8_t flags, void* data) noexcept:
    cdef Http2Stream stream
    if (<Input>data).headed == NULL:
        return 0
    try:
        stream = <Http2Stream>(<Input>data).headed
        stream.field_bytes += name_length + value_length
        if stream.field_bytes > MAX_FIELD_BYTES:        # a few bytes in HPACK may stand for thousands
            (<Input>data).charge()
            (<Input>data).heading = 0
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        stream.on_field(<const char*>name, name_length, <const char*>value, value_length)
        return 0
    except BaseException:
        return failed(<Input>data)


cdef int on_frame_recv(nghttp2_session* h2, const nghttp2_frame* frame, void* data) noexcept:
    cdef Input session = <Input>data
    cdef void* stream
    cdef bint last = frame.hd.flags & NGHTTP2_FLAG_END_STREAM
    session.heading = 0
    try:
        if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
            stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
            if frame.hd.type == NGHTTP2_DATA and frame.hd.length == frame.data.padlen and not last:
                session.charge()
            elif stream != NULL:
                heard(session, <Http2Stream>stream, frame, last)
        elif frame.hd.type == NGHTTP2_RST_STREAM or frame.hd.type == NGHTTP2_PRIORITY:
            session.charge()
        elif frame.hd.type == NGHTTP2_SETTINGS and not frame.hd.flags & NGHTTP2_FLAG_ACK:
            if session.settled:
                session.charge()
            session.settled = True
            if session.settling is not None:
                session.settling.set()
            may_go_on(session)
        elif frame.hd.type == NGHTTP2_WINDOW_UPDATE:
            windows_grew(session, frame)
        elif frame.hd.type == NGHTTP2_GOAWAY:
            session.draining = True
        return 0 if session.fault == NULL else NGHTTP2_ERR_CALLBACK_FAILURE
    except BaseException:
        return failed(session)


cdef int windows_grew(Input session, const nghttp2_frame* frame) except -1:
    cdef void* stream
    session.unreading = False
    session.moved = True
    session.granted += frame.window_update.window_size_increment
    if frame.hd.stream_id == 0:
        connection_grew(session)
        return 0
    stream = nghttp2_session_get_stream_user_data(session.h2, frame.hd.stream_id)
    if stream != NULL:
        stream_grew(session, <Http2Stream>stream, frame.window_update.window_size_increment)
    return 0


cdef int heard(Input session, Http2Stream stream, const nghttp2_frame* frame, bint last) except -1:
    """A whole HEADERS or DATA frame of a stream."""
    stream.frames_in += FRAME_HEAD + frame.hd.length
    if frame.hd.type == NGHTTP2_HEADERS:
        stream.on_head(frame.headers.cat, last)
    if last:
        stream.on_end()
    if frame.hd.type == NGHTTP2_HEADERS and frame.headers.cat == NGHTTP2_HCAT_REQUEST:
        session.serve(stream)
    return 0


cdef int on_data_chunk(
        nghttp2_session* h2, uint8_t flags, int32_t id, const uint8_t* chunk, size_t length, void* data) noexcept:
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, id)
    try:
        if stream == NULL:
            nghttp2_session_consume_connection(h2, length)
        else:
            arrived(<Input>data, <Http2Stream>stream, length)
            (<Http2Stream>stream).on_data(<const char*>chunk, length)
        return 0
    except BaseException:
        return failed(<Input>data)


cdef int on_stream_close(nghttp2_session* h2, int32_t id, uint32_t code, void* data) noexcept:
    cdef Input session = <Input>data
    cdef Http2Stream stream
    try:
        stream = session.streams.pop(id, None)
        if session.headed == <void*>stream:
            session.headed = NULL
        if (stream is None or not stream.eof) and nghttp2_session_get_stream_remote_close(h2, id) == 0:
            session.note_end(id)
        if stream is not None:
            session.grown -= stream.window - first_window(session)
            session.gone += stream.queued
            may_go_on(session)
            stream.on_close(code)
        return 0
    except BaseException:
        return failed(session)


cdef int on_invalid_frame(nghttp2_session* h2, const nghttp2_frame* frame, int code, void* data) noexcept:
    cdef Input session = <Input>data
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
    session.heading = 0
    try:
        if stream != NULL:
            (<Http2Stream>stream).on_malformed()
        elif code == NGHTTP2_ERR_REFUSED_STREAM:    # more of them than the SETTINGS allow that it may not have read yet
            session.note_end(frame.hd.stream_id)
        return 0 if session.charge() else NGHTTP2_ERR_CALLBACK_FAILURE
    except BaseException:
        return failed(session)


cdef int on_invalid_header(
        nghttp2_session* h2, const nghttp2_frame* frame, const uint8_t* name, size_t name_length, const uint8_t* value,
        size_t value_length, uint8_t flags, void* data) noexcept:
    """A field with an illegal name or value makes its message malformed (RFC 9113 8.2.1); nghttp2 would drop it."""
    (<Input>data).heading = 0
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE


cdef int on_frame_send(nghttp2_session* h2, const nghttp2_frame* frame, void* data) noexcept:
    """nghttp2 ends a connection whose peer breaks the protocol by itself: its reason is in the GOAWAY. So it does with a stream
    whose message is not what its head says, or not in order."""
    cdef Input session
    cdef size_t length
    cdef void* stream
    if frame.hd.type == NGHTTP2_HEADERS:
        stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
        if stream != NULL:
            (<Http2Stream>stream).frames_out += FRAME_HEAD + frame.hd.length
    elif frame.hd.type == NGHTTP2_RST_STREAM and frame.rst_stream.error_code == NGHTTP2_PROTOCOL_ERROR:
        return reset_malformed(h2, frame, <Input>data)
    if frame.hd.type != NGHTTP2_GOAWAY or frame.goaway.error_code == NGHTTP2_NO_ERROR:
        return 0
    session = <Input>data
    if session.fault == NULL:
        length = min(frame.goaway.opaque_data_len, sizeof(session.words) - 1)
        if length > 0:  # else there may be no data at all
            memcpy(session.words, frame.goaway.opaque_data, length)
        session.words[length] = 0
        session.fault, session.fault_code = session.words, frame.goaway.error_code
        if length == 0:
            session.fault = nghttp2_http2_strerror(frame.goaway.error_code)
    return 0


cdef int reset_malformed(nghttp2_session* h2, const nghttp2_frame* frame, Input session) noexcept:
    cdef void* stream = nghttp2_session_get_stream_user_data(h2, frame.hd.stream_id)
    try:
        if stream != NULL:
            (<Http2Stream>stream).on_malformed()
        return 0
    except BaseException:
        return failed(session)


cdef int on_frame_not_send(nghttp2_session* h2, const nghttp2_frame* frame, int code, void* data) noexcept:
    """A request that cannot be sent any more (a GOAWAY came first) opened no stream that could be closed."""
    cdef Input session = <Input>data
    cdef Http2Stream stream
    if frame.hd.type != NGHTTP2_HEADERS or frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        return 0
    try:
        stream = session.streams.pop(frame.hd.stream_id, None)
        if stream is not None:
            stream.on_close(NGHTTP2_REFUSED_STREAM)
        return 0
    except BaseException:
        return failed(session)


cdef ssize_t frame_length(
        nghttp2_session* h2, uint8_t frame_type, int32_t id, int32_t connection_window, int32_t stream_window,
        uint32_t largest, void* data) noexcept:
    return min(min(connection_window, stream_window), min(<int32_t>largest, FRAME))


cdef nghttp2_session_callbacks* make_callbacks() except NULL:
    cdef nghttp2_session_callbacks* made = NULL
    if nghttp2_session_callbacks_new(&made):
        raise MemoryError
    nghttp2_session_callbacks_set_on_begin_headers_callback(made, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback(made, on_header)
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame_recv)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data_chunk)
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_stream_close)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made, on_invalid_frame)
    nghttp2_session_callbacks_set_on_invalid_header_callback(made, on_invalid_header)
    nghttp2_session_callbacks_set_on_frame_send_callback(made, on_frame_send)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(made, on_frame_not_send)
    nghttp2_session_callbacks_set_send_data_callback(made, send_frame)
    nghttp2_session_callbacks_set_data_source_read_length_callback(made, frame_length)
    return made


cdef nghttp2_option* make_options(bint client) except NULL:
    """An endpoint's values may have blanks around them, as Go's net/http sends what it is told to: they are taken off, as
    RFC 9110 5.5 has it of every value, and nobody is refused for them (8.2.1 calls such a message malformed)."""
    cdef nghttp2_option* made = NULL
    if nghttp2_option_new(&made):
        raise MemoryError
    nghttp2_option_set_no_auto_window_update(made, 1)
    nghttp2_option_set_no_closed_streams(made, 1)
    nghttp2_option_set_max_settings(made, PREFACE_MAX_SETTINGS)
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(made, client)
    nghttp2_option_set_max_send_header_block_length(made, 2 * HEADER_LIST)
    return made


input_callbacks = make_callbacks()
input_options = make_options(False)
client_options = make_options(True)

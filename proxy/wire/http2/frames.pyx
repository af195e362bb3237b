# distutils: libraries = nghttp2
"""DATA frames out of the writers' own memory: nghttp2's callbacks about what is sent.

nghttp2 asks how much the next frame of a stream holds (`read_pieces`) and has it put into the connection's output
(`send_frame`). Both move bytes and take notes, and may not switch greenlets.
"""

from libc.stdint cimport int64_t
from libc.string cimport memcpy

from proxy.wire.buffers cimport reserve
from proxy.wire.http2.nghttp2 cimport *
from proxy.wire.http2.flow cimport LEAST, room_of
from proxy.wire.http2.output cimport RECORD, Output, failed
from proxy.wire.http2.stream cimport Http2Stream

cdef enum:
    FRAME_HEADER = 9


cdef nghttp2_data_provider body_of(Http2Stream stream) noexcept:
    """For nghttp2: what is sent on this stream comes from its pieces."""
    cdef nghttp2_data_provider provider
    provider.source.ptr = <void*>stream
    provider.read_callback = read_pieces
    return provider


cdef ssize_t read_pieces(
        nghttp2_session* h2, int32_t id, uint8_t* buffer, size_t length, uint32_t* flags, nghttp2_data_source* source,
        void* data) noexcept:
    """How much the next DATA frame holds; send_frame copies it."""
    cdef Http2Stream stream = <Http2Stream>source.ptr
    cdef Output connection = <Output>data
    cdef Py_ssize_t left = stream.first_left + stream.second_left
    cdef int64_t room = left
    if left:
        room = room_of(connection, stream)
        if room < min(left, LEAST):
            return hold(connection, stream)
    if left == 0 and not stream.end_wanted:
        stream.deferred = True
        return NGHTTP2_ERR_DEFERRED
    flags[0] |= NGHTTP2_DATA_FLAG_NO_COPY
    if left <= min(<Py_ssize_t>length, room) and stream.end_wanted:
        flags[0] |= NGHTTP2_DATA_FLAG_EOF
        stream.end_sent = True
        try:
            if stream.on_finish():
                flags[0] |= NGHTTP2_DATA_FLAG_NO_END_STREAM
        except BaseException:
            return failed(connection)
    return min(min(left, room), <Py_ssize_t>length)


cdef ssize_t hold(Output connection, Http2Stream stream) noexcept:
    """The stream has used its share: it goes on when the peer has taken something."""
    try:
        stream.deferred = True
        if not stream.held:
            stream.held = True
            connection.held.append(stream)
        return NGHTTP2_ERR_DEFERRED
    except BaseException:
        return failed(connection)


cdef int send_frame(
        nghttp2_session* h2, nghttp2_frame* frame, const uint8_t* header, size_t length, nghttp2_data_source* source,
        void* data) noexcept:
    """A DATA frame into the output, out of the writer's own buffers; what is large goes to the transport from there."""
    cdef Output connection = <Output>data
    cdef Http2Stream stream = <Http2Stream>source.ptr
    cdef Py_ssize_t left = length
    cdef Py_ssize_t copied
    try:
        reserve(&connection.out, FRAME_HEADER + length)
        memcpy(connection.out.bytes + connection.out.end, header, FRAME_HEADER)
        connection.out.end += FRAME_HEADER
        copied = min(left, stream.first_left)
        add_piece(connection, &stream.first, &stream.first_left, copied)
        left -= copied
        if left >= 2 * RECORD and connection.transport.in_records and not connection.sending and not connection.broken:
            copied = RECORD - (connection.out.end - connection.out.start) % RECORD
            add_piece(connection, &stream.second, &stream.second_left, copied)
            left -= copied
            copied = connection.send_with(stream.second, left - left % RECORD)
            stream.second += copied
            stream.second_left -= copied
            left -= copied
        add_piece(connection, &stream.second, &stream.second_left, left)
        stream.written += length
        stream.frames_out += FRAME_HEADER + length
        stream.unacked += length
        connection.spoken = True
        if stream.writer is not None and not stream.first_left and not stream.second_left:
            stream.wake_writer(0)
    except BaseException:
        return failed(connection)
    return 0


cdef inline void add_piece(Output connection, const char** piece, Py_ssize_t* left, Py_ssize_t length) noexcept:
    """So much of a piece goes into the output, where there is room for it."""
    if length:
        memcpy(connection.out.bytes + connection.out.end, piece[0], length)
        connection.out.end += length
        piece[0] += length
        left[0] -= length

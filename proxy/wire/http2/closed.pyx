"""What a client still sends on streams that are closed (RFC 9113 5.1, 5.1.1). Pure: frame heads and numbers.

Whose stream was ended by its client, with END_STREAM or RST_STREAM, has no more to come on it; where we ended it, what was
on its way is to be borne. nghttp2 forgets a stream when it is closed, and takes whatever comes afterwards for the latter.
To keep closed streams, as it also can, would cost some 240 bytes each. So what is remembered here are the exceptions:
those that we ended before their client had. Every other stream below the newest that is not open was ended by its client,
or never was. When there are too many to remember, all below the highest that is forgotten are borne with: never too little.

nghttp2 tells nobody of the DATA that it passes over, so the frames' heads are read here too, before it gets them. Only
HEADERS and DATA are looked at, and only where the stream is not the one that the frame before was on.
"""

from libc.string cimport memcpy

cdef enum:
    PREFACE = 24
    HEADERS = 1                     # and 0 is DATA, between which and this there is nothing
    RST_STREAM = 3
    END_STREAM = 1
    LAST_ID = 0x7fffffff
    MOST = 1024                     # streams whose data may be on its way: more than there can be at once


cdef void expect_preface(Closed* closed) noexcept nogil:
    """A connection begins."""
    closed.left = PREFACE
    closed.newest = -1


cdef bint find_doubtful(Closed* closed, const char* data, Py_ssize_t length, Py_ssize_t* at) noexcept nogil:
    """Goes over the frames in `data`, from `at` on. True, and `at` behind its head, at one on a stream that may be closed:
    `is_open` or `judge` is to be called when nghttp2 has had what is before it."""
    cdef Py_ssize_t step
    while at[0] < length:
        step = min(length - at[0], <Py_ssize_t>closed.left)
        at[0] += step
        closed.left -= <uint32_t>step
        if closed.left == 0 and take_head(closed, data, length, at) and is_doubtful(closed):
            return True
    return False


cdef bint take_head(Closed* closed, const char* data, Py_ssize_t length, Py_ssize_t* at) noexcept nogil:
    """Whether the next frame's head is whole."""
    cdef Py_ssize_t step = min(<Py_ssize_t>(FRAME_HEAD - closed.there), length - at[0])
    cdef uint8_t* head = closed.head
    memcpy(head + closed.there, data + at[0], step)
    at[0] += step
    closed.there += <uint32_t>step
    if closed.there < FRAME_HEAD:
        return False
    closed.there = 0
    closed.left = payload(closed)
    closed.id = <int32_t>(
        (<uint32_t>head[5] << 24 | <uint32_t>head[6] << 16 | <uint32_t>head[7] << 8 | head[8]) & LAST_ID)
    return True


cdef inline uint32_t payload(const Closed* closed) noexcept nogil:
    return <uint32_t>closed.head[0] << 16 | <uint32_t>closed.head[1] << 8 | closed.head[2]


cdef inline bint is_last(const Closed* closed) noexcept nogil:
    return closed.head[4] & END_STREAM != 0


cdef bint is_doubtful(Closed* closed) noexcept nogil:
    """Whether the frame's stream has to be looked up. What is idle or nobody's is nghttp2's to refuse."""
    cdef uint8_t kind = closed.head[3]
    if kind == RST_STREAM:
        pardon_no_more(closed)
        return False
    if kind > HEADERS:
        return False
    if closed.id > closed.newest:
        if kind == HEADERS and closed.id & 1:
            begin(closed)
        return False
    if closed.id != closed.flowing:
        return closed.id & 1 != 0
    if is_last(closed):
        closed.flowing = 0
    return False


cdef void begin(Closed* closed) noexcept nogil:
    """A stream is opened. The ids below it that were not used are closed by that (5.1.1)."""
    if closed.id > closed.newest + 2:
        closed.skipped, closed.skipped_to = closed.newest, closed.id
    closed.newest = closed.id
    closed.flowing = 0 if is_last(closed) else closed.id


cdef void is_open(Closed* closed) noexcept nogil:
    """The frame found is on a stream that nghttp2 knows."""
    closed.flowing = 0 if is_last(closed) else closed.id


cdef Late judge(Closed* closed) noexcept nogil:
    """What the frame found is, on a stream that nghttp2 does not know."""
    cdef int32_t* place = find_excused(closed)
    if place == NULL and closed.id > closed.forgotten:
        if is_headers(closed) and closed.skipped < closed.id < closed.skipped_to:
            return Late.ON_A_SKIPPED_ID
        return Late.ON_A_CLOSED_STREAM
    if place != NULL and is_last(closed):
        place[0] = 0
    if not is_headers(closed):
        closed.room -= payload(closed)
    return Late.BEYOND_ITS_WINDOW if closed.room < 0 else Late.ON_ITS_WAY


cdef bint is_headers(const Closed* closed) noexcept nogil:
    return closed.head[3] == HEADERS


cdef bint costs_nothing(const Closed* closed) noexcept nogil:
    """Whether the frame found took its sender nothing to send: fields in a few bytes, or no data at all. What has data is
    bounded by its window."""
    return is_headers(closed) or payload(closed) == 0 and not is_last(closed)


cdef int32_t* find_excused(Closed* closed) noexcept nogil:
    cdef int index
    for index in range(EXCUSED):
        if closed.excused[index] == closed.id:
            return &closed.excused[index]
    return NULL


cdef void pardon_no_more(Closed* closed) noexcept nogil:
    """A RST_STREAM of the client's: it has no more to come."""
    cdef int32_t* place = find_excused(closed) if closed.id != 0 else NULL
    if place != NULL:
        place[0] = 0
    if closed.flowing == closed.id:
        closed.flowing = 0


cdef void excuse(Closed* closed, int32_t id, int32_t window) noexcept nogil:
    """We have ended this stream, and its client had not: up to `window` bytes of it may be on their way."""
    cdef uint32_t place = closed.turn % EXCUSED
    closed.turn += 1
    closed.forgotten = max(closed.forgotten, closed.excused[place])
    closed.excused[place] = id
    closed.room = min(closed.room, <int64_t>MOST * window) + window
    if closed.flowing == id:
        closed.flowing = 0


cdef void excuse_all(Closed* closed) noexcept nogil:
    """We have sent a GOAWAY that leaves out what the client may open yet (6.8): nghttp2 passes over all of that."""
    closed.forgotten = LAST_ID
    closed.room = <int64_t>1 << 62

# What still comes on a client's streams that are closed; theory in closed.pyx.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    EXCUSED = 32                    # streams that we have ended before their client had, remembered one by one
    FRAME_HEAD = 9                  # RFC 9113 4.1

cdef enum Late:                     # what a frame on a stream that is not open is
    ON_ITS_WAY                      # sent before our RST_STREAM was read, as far as can be told
    ON_A_CLOSED_STREAM
    ON_A_SKIPPED_ID                 # on a stream that never was, and cannot be any more
    BEYOND_ITS_WINDOW               # more than can have been on its way

cdef struct Closed:
    uint32_t left                   # of the frame that is coming, or of the preface
    uint32_t there                  # of the next frame's head
    uint8_t[FRAME_HEAD] head
    int32_t id                      # the stream of the frame that is asked about
    int32_t newest                  # the highest id of the client's
    int32_t flowing                 # the stream of its latest HEADERS or DATA, unless that ended it; 0: none
    int32_t skipped, skipped_to     # the ids between these two never were: the last time that ids were left out
    int32_t[EXCUSED] excused
    uint32_t turn                   # where the next one of them goes
    int32_t forgotten               # the highest of those that had to make room
    int64_t room                    # how much DATA may be on its way yet, on all of those together

cdef void expect_preface(Closed* closed) noexcept nogil
cdef bint find_doubtful(Closed* closed, const char* data, Py_ssize_t length, Py_ssize_t* at) noexcept nogil
cdef void is_open(Closed* closed) noexcept nogil
cdef Late judge(Closed* closed) noexcept nogil
cdef bint costs_nothing(const Closed* closed) noexcept nogil
cdef bint is_headers(const Closed* closed) noexcept nogil
cdef void excuse(Closed* closed, int32_t id, int32_t window) noexcept nogil
cdef void excuse_all(Closed* closed) noexcept nogil

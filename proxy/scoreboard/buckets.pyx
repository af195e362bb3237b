"""The histogram of request times that a cluster's counters keep."""

from proxy.scoreboard.layout cimport BUCKET_COUNT

# Upper bounds, in milliseconds; the last bucket is open.
BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10000, 30000, 60000, 300000, 1800000)
cdef int64_t[BUCKET_COUNT] BOUNDS
for _index, _bound in enumerate(BUCKETS_MS):
    BOUNDS[_index] = _bound


cdef int bucket_of(int64_t duration_ms) noexcept nogil:
    cdef int index
    for index in range(BUCKET_COUNT - 1):
        if duration_ms <= BOUNDS[index]:
            return index
    return BUCKET_COUNT - 1

"""The buckets of histograms: of a cluster's request times, and of Istio's metrics."""

from proxy.scoreboard.layout cimport BOUND_COUNT, BUCKET_COUNT

# Upper bounds, in milliseconds; the last bucket is open.
BUCKETS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10000, 30000, 60000, 300000, 1800000)
cdef int64_t[BUCKET_COUNT] BOUNDS
for _index, _bound in enumerate(BUCKETS_MS):
    BOUNDS[_index] = _bound


cdef int bucket_of(int64_t duration_ms) noexcept nogil:
    return place_of(duration_ms, &BOUNDS[0], BUCKET_COUNT)


# Istio's, of milliseconds and of bytes; the last bucket is open. What is counted are whole numbers, so only 0 is below 0.5.
BOUNDS_OF_ISTIO = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000)
cdef int64_t[BOUND_COUNT] ISTIO
for _index, _limit in enumerate(BOUNDS_OF_ISTIO):
    ISTIO[_index] = <int64_t>_limit


cdef int bound_of(int64_t value) noexcept nogil:
    return place_of(value, &ISTIO[0], BOUND_COUNT)


cdef inline int place_of(int64_t value, const int64_t* bounds, int count) noexcept nogil:
    """Which of so many buckets has the value: the first with a bound that is not below it, or the last, which is open."""
    cdef int index
    for index in range(count - 1):
        if value <= bounds[index]:
            return index
    return count - 1

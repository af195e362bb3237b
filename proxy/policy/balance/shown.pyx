"""What decisions about endpoints come to, for those who show them: as workers decide, called from Python. Pure."""

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free

from proxy.policy.balance.groups cimport distribute, fail_over
from proxy.policy.balance.panic cimport panics
from proxy.policy.balance.warmup cimport warmth
from proxy.policy.facts cimport Groups


def loads_of(list sizes, list present, list weights, int min_health_percent) -> tuple:
    """Of groups of endpoints, of which so many are in: the percent of the requests that each gets, and whether each is in
    panic. Without `weights` (an empty list) they fail over."""
    cdef int count = len(sizes), at
    cdef int32_t* numbers = <int32_t*>calloc(3 * count + 1, sizeof(int32_t))
    cdef int64_t* loads = <int64_t*>calloc(count + 1, sizeof(int64_t))
    cdef unsigned char* panicking = <unsigned char*>calloc(count + 1, 1)
    cdef int64_t total
    cdef Groups groups
    if numbers == NULL or loads == NULL or panicking == NULL:
        raise MemoryError
    groups.count, groups.loads, groups.panicking = count, loads, panicking
    groups.sizes, groups.present, groups.weights = numbers, numbers + count, numbers + 2 * count
    for at in range(count):
        numbers[at], numbers[count + at] = sizes[at], present[at]
        numbers[2 * count + at] = weights[at] if weights else 1
    total = distribute(&groups, min_health_percent) if weights else fail_over(&groups, min_health_percent)
    parts = tuple([100 * loads[at] / <double>total if total else 0.0 for at in range(count)])
    alarmed = tuple([panicking[at] != 0 for at in range(count)])
    free(numbers)
    free(loads)
    free(panicking)
    return parts, alarmed


def panics_of(int present, int count, int min_health_percent) -> bool:
    """See panic.py."""
    return panics(present, count, min_health_percent)


def warmth_of(double age_ms, double window_ms, double least, double aggression) -> float:
    """See warmup.py."""
    return warmth(age_ms, window_ms, least, aggression)

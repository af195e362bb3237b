# cython: annotation_typing=False
"""Whether so many endpoints are out that those get requests, too (Envoy's panic mode). Pure."""


def panics(present: int, count: int, min_health_percent: int) -> bool:
    """Whether fewer than `min_health_percent` of `count` endpoints are in; never at 0.

    Envoy's `healthy_panic_threshold`, which is compared strictly: 1 of 3 is in panic below 34, not below 33.
    """
    return 100 * present < min_health_percent * count

# cython: annotation_typing=False
"""Whether so many endpoints are out that those get requests, too (Envoy's panic mode). Pure. For groups of endpoints:
groups.py."""

OVERPROVISIONED = 140  # percent, Envoy's overprovisioning_factor: 72 of 100 are as good as all


def panics(present: int, count: int, min_health_percent: int) -> bool:
    """Whether fewer than `min_health_percent` of `count` endpoints are in, and fewer than can take all requests.

    Envoy's `healthy_panic_threshold`, which is compared strictly: 1 of 3 is in panic below 34, not below 33. Never at
    0, nor while 72 % are in (load_balancer_impl.cc, recalculatePerPriorityPanic).
    """
    return 100 * present < min_health_percent * count and OVERPROVISIONED * present < 100 * count

# cython: annotation_typing=False, cdivision=True, cpow=True
"""Warm-up: what share an endpoint has that has just joined. Pure.

Envoy's slow start (load_balancer_impl.cc, applySlowStartFactor): the weight is multiplied by (age / window) to the
power of 1/aggression, and by the least share at least. Ages count in whole seconds there, from 1 on; here they are
exact, but for the first second.
"""

SECOND = 1000.0


def warmth(age_ms: float, window_ms: float, least: float, aggression: float) -> float:
    """What part of its weight an endpoint of that age has, 1 at most; `least` is a fraction."""
    if age_ms >= window_ms:
        return 1.0
    grown: float = (max(age_ms, SECOND) / window_ms) ** (1.0 / aggression)
    return min(1.0, max(least, grown))

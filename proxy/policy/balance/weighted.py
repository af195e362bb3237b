# cython: annotation_typing=False, cdivision=True
"""Endpoints of unequal weights: whose share a point falls into. Pure.

Envoy makes a schedule of earliest deadlines, a worker for itself. Here the shares of all that are in lie end to end
(`View.sums`), and a number says where among them: drawn for LEAST_REQUEST, and for ROUND_ROBIN the replica's counter,
spread by the golden ratio. Multiples of that fall into every stretch in proportion to its length, as evenly as points
can that are not known beforehand (three-distance theorem), so the turns of one endpoint stand well apart, whichever
worker has them; and a weight that changes, as in a warm-up, costs no new schedule.
"""

from proxy.policy import shapes

GOLDEN = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio
MASK = 0xFFFFFFFFFFFFFFFF
HALF = 32


def spread(counter: int) -> int:
    """The counter's number among all of 64 bits."""
    return (counter * GOLDEN) & MASK


def turn_of(draw: int, view: shapes.View) -> int:
    """The turn, among those that are in, in whose share the drawn number of 64 bits falls. Some are in, and they have
    weights."""
    point = ((draw >> HALF) * view.sums[view.present - 1]) >> HALF
    low, high = 0, view.present - 1
    while low < high:
        middle = (low + high) // 2
        if view.sums[middle] > point:
            high = middle
        else:
            low = middle + 1
    return low

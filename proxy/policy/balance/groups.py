# cython: annotation_typing=False, cdivision=True
"""Endpoints in groups, by where they are: how many of the requests each group gets. Pure.

**Failover** (Envoy's priorities, load_balancer_impl.cc): a group takes as many percent of the requests as it has of
its endpoints in, times 1.4, and what it cannot take goes to the next. Where all together could not take everything,
each gets in proportion to what it could. **Distribution** (Envoy's locality weights): each group gets requests by its
weight, and fewer where too few of it are in, by the same 1.4; a group of weight 0 gets none.

Panic (panic.py) is a group's own under failover, and that of all together under distribution; there is none while all
requests can be taken.
"""

from proxy.policy import shapes

OVERPROVISIONED = 140  # as in panic.py
HALF = 32


def availability(present: int, size: int) -> int:
    """How many percent of the requests so many endpoints can take, of `size` that there are."""
    return min(100, OVERPROVISIONED * present // size) if size else 0


def fail_over(groups: shapes.Groups, min_health_percent: int) -> int:
    """Fills in `loads`, and who is `panicking`. Says what the loads add up to; 0: nobody is in."""
    total, alarmed = 0, 0
    for at in range(groups.count):
        total += availability(groups.present[at], groups.sizes[at])
    for at in range(groups.count):
        below = 100 * groups.present[at] < min_health_percent * groups.sizes[at]
        groups.panicking[at] = total < 100 and below
        alarmed += groups.panicking[at]
    return by_size(groups) if alarmed == groups.count else by_availability(groups, min(100, total))


def by_availability(groups: shapes.Groups, total: int) -> int:
    """The first takes what it can, and so on. `total`: what all can take together."""
    left, first = 100, -1
    for at in range(groups.count):
        load = availability(groups.present[at], groups.sizes[at])
        if load and first < 0:
            first = at
        load = min(left, load * 100 // total) if total else 0
        groups.loads[at] = load
        left -= load
    if first < 0:
        return 0
    groups.loads[first] += left  # what whole percents have lost
    return 100


def distribute(groups: shapes.Groups, min_health_percent: int) -> int:
    """The same for groups with weights."""
    present, size, total = 0, 0, 0
    for at in range(groups.count):
        if groups.weights[at]:
            present += groups.present[at]
            size += groups.sizes[at]
    alarmed = availability(present, size) < 100 and 100 * present < min_health_percent * size
    for at in range(groups.count):
        groups.panicking[at] = alarmed and groups.weights[at] > 0
        groups.loads[at] = groups.weights[at] * availability(groups.present[at], groups.sizes[at])
        total += groups.loads[at]
    return by_size(groups) if alarmed else total


def by_size(groups: shapes.Groups) -> int:
    """In panic each gets as many requests as it has endpoints, in or out."""
    total = 0
    for at in range(groups.count):
        groups.loads[at] = groups.sizes[at] if groups.panicking[at] else 0
        total += groups.loads[at]
    return total


def group_of(draw: int, total: int, groups: shapes.Groups) -> int:
    """The group in whose load the drawn number of 64 bits falls; -1 if none has any."""
    point = ((draw >> HALF) * total) >> HALF
    for at in range(groups.count):
        if point < groups.loads[at]:
            return at
        point -= groups.loads[at]
    return -1

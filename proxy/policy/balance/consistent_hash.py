# cython: annotation_typing=False, cdivision=True
"""consistentHash: which endpoint has a key. Pure.

**Numbers of keys** are the same in every worker, replica and version: FNV-1a over the octets, then SplitMix64's
finaliser, without which keys that differ only at their end stay near one another. Who may choose keys can have many
fall on one endpoint, as with any hash that is no secret; a secret of a replica's own would give each replica another
endpoint for one key.

**RING_HASH, by rendezvous.** Each endpoint draws a number for the key, and the highest has it (highest random weight,
Thaler and Ravishankar). That is what a ring with endlessly many points for each endpoint would say: whoever goes out
leaves to the others, evenly, the keys that were its own, and no other key moves; whoever comes in takes its share from
all alike. On a ring of 1,024 points each the shares differ by a tenth; here it is chance alone, and there is no ring
to be built, on any change, in any worker. It costs a nanosecond for each endpoint that is in. The draw is one
multiplication: seeds and keys are well mixed already. Unequal weights: of -log(u)/weight, u being the number drawn as
a fraction, the smallest has the key, with its weight's share as probability. Rows of them are passed over whose highest
number is too low for the heaviest of the row.

**MAGLEV, by a table.** It is filled as Envoy's is (Eisenbud et al., NSDI 2016, 3.4): endpoints in turn claim the next
free place of an order of their own, those of less weight less often. It is made of all endpoints there are, in or out,
so that an ejection leaves it as it is: a key whose endpoint is out is drawn again until one falls to an endpoint that
is in, and no other key moves.
"""

from proxy.policy import shapes

MASK = HIGHEST = 0xFFFFFFFFFFFFFFFF
OFFSET, PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a's
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64's
GOLDEN = 0x9E3779B97F4A7C15
TOP, HALF, ONE = 0x8000000000000000, 32, 0x100000000
FRACTION = 24  # bits of `bits_below` behind the point
LOG_2 = 11629080  # log(2), with 24 bits behind the point
DRAWS = 64
BLOCK = 16  # endpoints that are looked at together
FREE = -1


def mixed(number: int) -> int:
    """A number of 64 bits in which each bit depends on all of `number`."""
    number = ((number ^ (number >> 30)) * FIRST) & MASK
    number = ((number ^ (number >> 27)) * SECOND) & MASK
    return number ^ (number >> 31)


def hash_of(octets: bytes, length: int) -> int:
    """The number of a key."""
    number = OFFSET
    for at in range(length):
        number = ((number ^ octets[at]) * PRIME) & MASK
    return mixed(number)


def rendezvous(key: int, seeds: list[int], view: shapes.View) -> int:
    """The position of the endpoint that has the key, of those that are in and were not tried; -1 if there is none.
    `seeds`: a number of its own of each that is in, in the order of `View.members`."""
    best, highest = 0, 0
    for turn in range(view.present):
        draw = ((key ^ seeds[turn]) * FIRST) & MASK
        if draw > highest:
            best, highest = turn, draw
    if view.present and not view.tried[view.members[best]]:
        return view.members[best]
    return untried_rendezvous(key, seeds, view)


def untried_rendezvous(key: int, seeds: list[int], view: shapes.View) -> int:
    """The same where some were tried."""
    best, highest = -1, 0
    for turn in range(view.present):
        draw = ((key ^ seeds[turn]) * FIRST) & MASK
        if not view.tried[view.members[turn]] and (best < 0 or draw > highest):
            best, highest = view.members[turn], draw
    return best


def weighted_rendezvous(key: int, seeds: list[int], order: list[int], view: shapes.View) -> int:
    """The same of endpoints with weights. `order`: the positions of those that are in, the heaviest first, and so are
    `seeds`."""
    best, least, weight_of_best, first = -1, 0, 1, 0
    bound = HIGHEST
    while first < view.present:
        last = min(first + BLOCK, view.present)
        highest = highest_of(key, seeds, first, last)
        if HIGHEST - highest <= bound:
            for step in range(first - 1, last):  # the highest comes first: few can win after it
                turn = turn_of(highest, key, seeds, first) if step < first else step
                draw = ((key ^ seeds[turn]) * FIRST) & MASK
                position = order[turn]
                if HIGHEST - draw > bound or view.tried[position]:
                    continue
                cost = minus_log(draw)
                if best < 0 or cost * weight_of_best < least * view.weights[position]:
                    best, least, weight_of_best = position, cost, view.weights[position]
                    # 1 - u is at most -log(u): with less not even the heaviest that is left could win
                    bound = bound_of(least * view.weights[order[first]] // weight_of_best)
        first = last
    return best


def highest_of(key: int, seeds: list[int], first: int, last: int) -> int:
    """Of the draws of a row of endpoints. Nearly all rows have none that could win: this is what a pick costs."""
    highest = 0
    for turn in range(first, last):
        draw = ((key ^ seeds[turn]) * FIRST) & MASK
        highest = draw if draw > highest else highest
    return highest


def turn_of(number: int, key: int, seeds: list[int], first: int) -> int:
    """Who has drawn that, the first in a row that begins there."""
    turn = first
    while ((key ^ seeds[turn]) * FIRST) & MASK != number:
        turn += 1
    return turn


def bound_of(cost: int) -> int:
    """The most that a draw may be below the highest for its cost to be no more than that."""
    return HIGHEST if cost + 1 >= ONE else (cost + 1) << HALF


def minus_log(draw: int) -> int:
    """-log(draw / 2**64), in 2**-32ths. Where the draw is high, and it matters, by the series of the logarithm."""
    below = (HIGHEST - draw) >> HALF
    if below < ONE >> 4:
        square = (below * below) >> HALF
        return below + square // 2 + ((square * below) >> HALF) // 3 + ((square * square) >> HALF) // 4
    return (bits_below(draw) * LOG_2) >> FRACTION - 8


def bits_below(draw: int) -> int:
    """-log2(draw / 2**64), with FRACTION bits behind the point."""
    below = 0
    if draw == 0:
        return 64 << FRACTION
    while draw < TOP:
        draw <<= 1
        below += 1
    part = 0
    draw >>= HALF  # so that its square fits; from here on 2**31 stands for 1
    for _ in range(FRACTION):  # each square doubles the logarithm, and so brings out its next bit
        draw = (draw * draw) >> 31
        part <<= 1
        if draw >= ONE:
            draw >>= 1
            part += 1
    return ((below + 1) << FRACTION) - part


def fill(
    table: list[int], size: int, seeds: list[int], places: list[int], credits: list[int], view: shapes.View
) -> int:
    """Fills the table of so many places, a prime, with positions; nothing if there are no endpoints. `places` and
    `credits` are room for as many numbers as there are endpoints, all 0. Says how many places are taken."""
    heaviest = 1
    for position in range(view.count):
        heaviest = max(heaviest, view.weights[position])
    for place in range(size):
        table[place] = FREE
    taken = 0
    while taken < size and view.count:
        for position in range(view.count):
            credits[position] += view.weights[position]
            if credits[position] < heaviest or taken == size:
                continue
            credits[position] -= heaviest
            skip = mixed(seeds[position] ^ GOLDEN) % (size - 1) + 1
            place = (seeds[position] + skip * places[position]) % size
            while table[place] != FREE:
                places[position] += 1
                place = (place + skip) % size
            table[place] = position
            places[position] += 1
            taken += 1
    return taken


def in_table(key: int, table: list[int], size: int, here: bytes, view: shapes.View) -> int:
    """The position of the endpoint that has the key, of those that are in (`here`, by position) and were not tried; -1
    if there is none."""
    if view.present == 0:
        return -1
    for _ in range(DRAWS):
        position = table[key % size]
        if here[position] and not view.tried[position]:
            return position
        key = mixed((key + GOLDEN) & MASK)
    turn = key % view.present
    for _ in range(view.present):
        position = view.members[turn]
        if not view.tried[position]:
            return position
        turn = turn + 1 if turn + 1 < view.present else 0
    return -1

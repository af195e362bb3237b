"""Which orders of outcomes could have been. Pure.

Nobody knows when, between being sent and being known to its worker, an attempt succeeded or failed. A run of failures
could have been if they can be put into one row without a success among them.
"""

from collections.abc import Sequence

from tests.fleet.simulator.traffic import Attempt


def could_be_a_run(attempts: Sequence[Attempt], length: int, since_ns: int = 0) -> bool:
    """Whether so many failures among these attempts on one endpoint could have followed one another, one of which was
    known only after `since_ns`.

    A success stands between two of them if it was sent after one had ended and had ended before the other was sent.
    """
    failures = [each for each in attempts if not each.success]
    successes = [each for each in attempts if each.success]
    if len(failures) < length:
        return False
    for first in failures:  # the one that ends first of its run
        later = sorted(each.begun_ns for each in failures if each.ended_ns >= first.ended_ns)
        newest = [each.begun_ns for each in failures if each.ended_ns >= max(since_ns, first.ended_ns)]
        if len(later) < length or not newest:
            continue
        last_begun_ns = max(later[length - 1], min(newest))
        if not any(each.begun_ns > first.ended_ns and each.ended_ns < last_begun_ns for each in successes):
            return True
    return False


def certain_runs(attempts: Sequence[Attempt], length: int) -> list[tuple[Attempt, list[Attempt]]]:
    """Runs of so many failures whatever the order was: (the one that completed it, those sent after that and failing
    all the same, before any success)."""
    found: list[tuple[Attempt, list[Attempt]]] = []
    run: list[Attempt] = []
    last_success_ns = 0
    for attempt in sorted(attempts, key=lambda each: each.ended_ns):
        if attempt.success:
            last_success_ns = attempt.ended_ns
            run = []
        elif not attempt.status:
            run = []  # of local origin: it may be its replica's own affair
        elif attempt.begun_ns > last_success_ns:
            run.append(attempt)
            if len(run) == length:
                found.append((attempt, []))
            elif len(run) > length and attempt.begun_ns > found[-1][0].ended_ns:
                found[-1][1].append(attempt)
    return found

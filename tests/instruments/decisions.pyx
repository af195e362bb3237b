"""The decisions of proxy/policy as they are compiled, called with the shapes that the interpreted ones take."""

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc

from proxy.policy cimport cause, outlier, retry, route
from proxy.policy.balance cimport panic
from proxy.policy.balance cimport round_robin as balance
from proxy.policy.facts cimport Ending, Facts, OutlierRule, RetryRule, View


def place_of(facts) -> int:
    cdef Facts made
    made.tunnelled, made.connect = facts.tunnelled, facts.connect
    return route.place_of(&made)


def round_robin(int last, view) -> int:
    cdef View made
    cdef int32_t* members = numbers(view.members)
    cdef int32_t* rank = numbers(view.rank)
    cdef bytes tried = bytes(view.tried)
    made.count, made.present = view.count, view.present
    made.members, made.rank, made.tried = members, rank, <const unsigned char*>tried
    try:
        return balance.round_robin(last, &made)
    finally:
        free(members)
        free(rank)


def panics(int present, int count, int min_health_percent) -> bool:
    return panic.panics(present, count, min_health_percent)


def again(rule, ending) -> int:
    cdef RetryRule made
    cdef Ending end = ending_of(ending)
    made.retries = rule.retries
    return retry.again(&made, &end)


def outcome_of(rule, ending) -> int:
    cdef OutlierRule made
    cdef Ending end = ending_of(ending)
    made.abandoned, made.listed = rule.abandoned, rule.listed
    for at, fails in enumerate(rule.failing):
        made.failing[<int>at] = fails
    return outlier.outcome_of(&made, &end)


def status_of(ending) -> int:
    cdef Ending end = ending_of(ending)
    return outlier.status_of(&end)


def cause_of(ending) -> int:
    cdef Ending end = ending_of(ending)
    return cause.cause_of(&end)


def spoke(int why) -> bool:
    return cause.spoke(why)


cdef Ending ending_of(ending):
    cdef Ending made
    made.how, made.status, made.grpc = ending.how, ending.status, ending.grpc
    made.sent, made.repeatable, made.pooled = ending.sent, ending.repeatable, ending.pooled
    made.answered, made.waits = ending.answered, ending.waits
    made.retries, made.untried, made.waited = ending.retries, ending.untried, ending.waited
    made.trouble = ending.trouble
    return made


cdef int32_t* numbers(values) except NULL:
    cdef int32_t* made = <int32_t*>malloc((len(values) + 1) * sizeof(int32_t))
    if made == NULL:
        raise MemoryError
    for at, value in enumerate(values):
        made[at] = value
    return made

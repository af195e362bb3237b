# cython: annotation_typing=False
"""LEAST_REQUEST: the one of two, drawn from those that are in, that has less to do. Pure.

Envoy's two choices with replacement (least_request_lb.cc): the first stays when both have as much to do, so that idle
endpoints share as with RANDOM. What is in flight is counted over all workers of the replica. Unequal weights: Envoy
schedules by weight/(active+1); here both are drawn in proportion to their weights, and what each has to do is held
against its weight. Idle endpoints share in proportion, and a busy one gets less, the lighter it is.
"""


def second_is_lighter(first_active: int, second_active: int, first_weight: int, second_weight: int) -> bool:
    """Whether the second drawn has less to do for its weight than the first."""
    return second_active * first_weight < first_active * second_weight

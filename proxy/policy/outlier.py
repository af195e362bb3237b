# cython: annotation_typing=False
"""What an attempt says about its endpoint. Pure.

Envoy's rules without splitExternalLocalOriginErrors (destination_rule.proto, outlier_detection_impl.cc): every 5xx the
endpoint answers is a failure, or each of the statuses that the rule lists, and so is everything that keeps it from
answering; any other final status is a success, 4xx included; what is beyond 599 is a 5xx to whoever knows no better
(RFC 9110, 15). An answer that breaks off is a success, then a failure (as with Envoy); one that is a failure already is
one. Ours to add: a client that gave up on a silent endpoint (`abandoned`).

Not as Envoy: an answer that came and that we refuse says nothing. The endpoint is there and answers, all its clients
but us may understand it, and a page that we do not take must not take the other pages with it. So it neither counts nor
ends a run. What is no answer at all is a failure, but for a connection that was used before: there it is what came too
much behind an earlier answer.
"""

from proxy.policy import shapes
from proxy.policy.shapes import (
    ABANDONED,
    ANSWERED,
    CLIENT_FAILED,
    CONNECTED,
    CUT,
    EXTERNAL_FAILURE,
    LOCAL_FAILURE,
    MALFORMED,
    NOT_HTTP,
    NOTHING,
    OVERFLOWED,
    SHORT_OF,
    SILENT,
    SUCCESS,
)


def outcome_of(rule: shapes.OutlierRule, ending: shapes.Ending) -> int:
    """NOTHING, SUCCESS, or whose failure it is."""
    if ending.how == ANSWERED:
        return EXTERNAL_FAILURE if fails(rule, status_of(ending)) else SUCCESS
    if ending.how == CONNECTED:
        return SUCCESS
    if ending.how in (SHORT_OF, CLIENT_FAILED, MALFORMED, OVERFLOWED) or (ending.how == NOT_HTTP and ending.pooled):
        return NOTHING
    if ending.how in (ABANDONED, SILENT):
        return judge_silence(rule, ending)
    if ending.how == CUT and fails(rule, status_of(ending)):
        return NOTHING
    return LOCAL_FAILURE


def fails(rule: shapes.OutlierRule, status: int) -> bool:
    """Whether an answer of this status counts as a failure: 5xx, or those that `outlierDetectionHttpErrorCodes` lists,
    and then no others."""
    if rule.listed:
        return 100 <= status < 600 and rule.failing[status - 100] != 0
    return status >= 500


def judge_silence(rule: shapes.OutlierRule, ending: shapes.Ending) -> int:
    """The outcome of an attempt whose client left without an answer, or that was given up for want of one.

    Nothing if the rule is off, the wait was shorter, the endpoint answered this replica anything since the request was
    sent (it lives; the request was slow), or the request is of a kind that waits by nature (gRPC, Upgrade).
    """
    if rule.abandoned == 0 or ending.waited < rule.abandoned or ending.answered or ending.waits:
        return NOTHING
    return LOCAL_FAILURE


def status_of(ending: shapes.Ending) -> int:
    """The HTTP status that an answer is judged by: of gRPC, what its own in the response head stands for."""
    return status_of_grpc(ending.grpc) if ending.grpc >= 0 else ending.status


def status_of_grpc(status: int) -> int:
    """Envoy's grpcToHttpStatus."""
    if status == 0:
        return 200
    if status == 1:  # cancelled
        return 499
    if status in (3, 9, 11):  # invalid argument, failed precondition, out of range
        return 400
    if status == 4:  # deadline exceeded
        return 504
    if status == 5:  # not found
        return 404
    if status in (6, 10):  # already exists, aborted
        return 409
    if status == 7:  # permission denied
        return 403
    if status == 8:  # resource exhausted
        return 429
    if status == 12:  # unimplemented
        return 501
    if status == 14:  # unavailable
        return 503
    if status == 16:  # unauthenticated
        return 401
    return 500  # unknown, internal, data loss; and whatever is no status of gRPC

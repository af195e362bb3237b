# cython: annotation_typing=False
"""What an attempt says about its endpoint. Pure.

Envoy's rules without splitExternalLocalOriginErrors (destination_rule.proto, outlier_detection_impl.cc): every 5xx the
endpoint answers is a failure, and so is everything that keeps it from answering; any other final status is a success,
4xx included. Ours to add: a client that gave up on a silent endpoint (`abandoned`).
"""

NOTHING = 0
SUCCESS = 1
EXTERNAL_FAILURE = 2  # the endpoint's own answer: counts, whoever saw it
LOCAL_FAILURE = 3  # seen from here only: refused, broken, silent


def judge_status(status: int) -> int:
    """The outcome of a final response head."""
    if 500 <= status <= 599:
        return EXTERNAL_FAILURE
    return SUCCESS


def judge_grpc(status: int) -> int:
    """The HTTP status that a gRPC status in response headers stands for (Envoy's grpcToHttpStatus)."""
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


def judge_abandoned(waited_ns: int, limit_ns: int, answered_since: bool, exempt: bool) -> int:
    """The outcome of an attempt whose client left without an answer after `waited_ns`.

    Nothing if the rule is off (`limit_ns` 0), the wait was shorter, the endpoint answered this replica anything since
    the request was sent (it lives; the request was slow), or the request is of a kind that waits by nature (`exempt`:
    gRPC, Upgrade).
    """
    if limit_ns == 0 or waited_ns < limit_ns or answered_since or exempt:
        return NOTHING
    return LOCAL_FAILURE

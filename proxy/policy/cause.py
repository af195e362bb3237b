# cython: annotation_typing=False
"""Why an attempt failed, and whether that shows that the other side was reached. Pure.

The one word for it (causes.py) goes into evidence, the stream, the ejection line and the access log.
"""

from proxy.policy import shapes
from proxy.policy.shapes import (
    ABANDONED,
    ANSWERED,
    BAD_ANSWER,
    CLOSED,
    CUT,
    EXPIRED,
    GRPC_STATUS,
    LEFT_WAITING,
    MALFORMED,
    NO_PROTOCOL,
    NOT_CONNECTED,
    NOT_HTTP,
    OVERDUE,
    REFUSED,
    RESET,
    SHORT_OF,
    SHORTAGE,
    SILENT,
    STREAM_ENDED,
    TUNNEL_RESET,
    UNANSWERED,
    UNKNOWN,
)


def cause_of(ending: shapes.Ending) -> int:
    """A Cause, or the status that was answered; UNKNOWN of what is no failure of the endpoint's or ours."""
    if ending.how == ANSWERED:
        return GRPC_STATUS + min(ending.grpc, 999) if ending.grpc >= 0 else ending.status
    if ending.how in (NOT_CONNECTED, CLOSED, CUT):
        return ending.trouble
    if ending.how in (RESET, REFUSED):
        return STREAM_ENDED
    return cause_of_nothing(ending.how)


def cause_of_nothing(how: int) -> int:
    """The same, of what ended without a word from the connection."""
    if how == NOT_HTTP:
        return NO_PROTOCOL
    if how == MALFORMED:
        return BAD_ANSWER
    if how in (SILENT, OVERDUE, EXPIRED):
        return UNANSWERED
    if how == ABANDONED:
        return LEFT_WAITING
    return SHORTAGE if how == SHORT_OF else UNKNOWN


def spoke(cause: int) -> bool:
    """Whether the other side was reached and said so itself, so that our own network is not to blame.

    A status is its word, HTTP's, gRPC's or that of a CONNECT; so is the end of one stream whose connection goes on, and
    so are bytes that make no sense. Not a refused or reset connection: that word may be anybody's on the way, a
    firewall's or a NAT's of our own node among them. Nor what TLS says: until both sides have accepted each other it
    may be the fault of our own certificate, and nobody has said who he is.
    """
    return 100 <= cause < GRPC_STATUS + 1000 or cause in (TUNNEL_RESET, STREAM_ENDED, NO_PROTOCOL, BAD_ANSWER)

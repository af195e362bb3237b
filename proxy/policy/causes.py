"""The word for each Cause of facts.pxd: what people, evidence in Redis and logs know it by. Pure data; not compiled.

Statuses are their own words: `503` that the endpoint answered, `tunnel_503` what its CONNECT was, `grpc_14`. What a
word means, and whether such a failure may be our own network's: docs/fleet-state.md.
"""

from collections.abc import Iterable, Mapping

from proxy.policy.shapes import (
    BAD_ANSWER,
    CONNECT_TIMEOUT,
    CONNECTION_REFUSED,
    CONNECTION_RESET,
    GRPC_STATUS,
    LEFT_WAITING,
    NO_PROTOCOL,
    SHORTAGE,
    STREAM_ENDED,
    TLS_FAILED,
    TUNNEL_RESET,
    TUNNEL_STATUS,
    UNANSWERED,
    UNKNOWN,
    UNREACHABLE,
)

WORDS: Mapping[int, str] = {
    UNKNOWN: "0",  # "no answer", as older versions write all of these
    CONNECTION_REFUSED: "refused",
    UNREACHABLE: "unreachable",
    CONNECT_TIMEOUT: "connect_timeout",
    TLS_FAILED: "tls",
    TUNNEL_RESET: "tunnel_reset",
    CONNECTION_RESET: "reset",
    STREAM_ENDED: "stream_reset",
    NO_PROTOCOL: "protocol",
    BAD_ANSWER: "malformed",
    UNANSWERED: "timeout",
    LEFT_WAITING: "abandoned",
    SHORTAGE: "shortage",
}


def word_of(cause: int) -> str:
    """`refused`, `tunnel_503`, `grpc_14`, `503`."""
    if cause in WORDS:
        return WORDS[cause]
    if cause >= GRPC_STATUS:
        return f"grpc_{cause - GRPC_STATUS}"
    return f"tunnel_{cause - TUNNEL_STATUS}" if cause >= TUNNEL_STATUS else str(cause)


def words_of(causes: Iterable[int]) -> str:
    """The words of a run, each once, in the order in which they came: `503,refused`. "" for none."""
    return ",".join(dict.fromkeys(word_of(cause) for cause in causes if cause != UNKNOWN))

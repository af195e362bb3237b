"""How often and how long a request is tried: VirtualService's `retries` and `timeout`, HTTPRoute's `retry` and
`timeouts`. Routes are to say it; what is in force without them is here (Istio's route/retry, `defaultPolicy`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """`attempts` after the first one, each after a pause of chance: before the Nth it is shorter than (2^N - 1) times
    `pause_ms`, and than `longest_pause_ms` (Envoy's RetryBackOff), after `least_pause_ms`. None is a time that does not
    end.

    Failures without an answer are tried again as far as nothing is done twice; `codes` and `on` say what else is:
    statuses, and conditions by Envoy's names ("5xx", "gateway-error", "reset", "retriable-4xx", "cancelled",
    "deadline-exceeded", "internal", "resource-exhausted", "unavailable"; those of gRPC go by its status in a head).

    `attempt_ms`: until an attempt is answered (`perTryTimeout`, `backendRequest`). `timeout_ms`: for all of them, their
    pauses, and the answer (`timeout`, `request`)."""

    attempts: int = 2
    attempt_ms: int | None = None
    timeout_ms: int | None = None
    pause_ms: int = 25
    longest_pause_ms: int = 250
    least_pause_ms: int = 0
    codes: tuple[int, ...] = ()
    on: tuple[str, ...] = ()


DEFAULT_RETRIES = RetryPolicy()

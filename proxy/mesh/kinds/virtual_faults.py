"""`http[].fault` of a VirtualService: delays and aborts that are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.reading.remarks import shown
from proxy.mesh.reading.schema import At, Given, at_most_one, duration, fields, integer, number, one_of
from proxy.mesh.traffic.routing import FaultInjection

PPM = 10_000
"""Parts of a million in one percent."""
_LEAST = 0.0001
GRPC_STATUSES: Mapping[str, int] = {
    name: number
    for number, name in enumerate(
        (
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        )
    )
}
HTTP_STATUS = integer(200, 599)
percent = number(0, 100)
_percentage = fields({"value": percent})


def percentage(at: At, value: object) -> float | None:
    """Istio's Percent; without a value it is 0."""
    found = _percentage(at, value)
    return None if found is None else _number(found.get("value", 0))


def _of_faults(at: At, value: object) -> float | None:
    found = percentage(at, value)
    if found and found < _LEAST:
        at.down("value").fault(f"must be 0 or at least {_LEAST:g}, not {shown(found)}")
        return None
    return found


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return value


def _unsupported(at: At, value: object) -> object:
    at.fault("is not supported, by Istio neither")
    return None


_delay = fields(
    {
        "percentage": _of_faults,
        "percent": integer(0, 100),
        "fixedDelay": duration,
        "exponentialDelay": _unsupported,
    },
    rules=(at_most_one("fixedDelay", "exponentialDelay"),),
)
_abort = fields(
    {
        "percentage": _of_faults,
        "httpStatus": HTTP_STATUS,
        "grpcStatus": one_of(*GRPC_STATUSES),
        "http2Error": _unsupported,
    },
    rules=(at_most_one("httpStatus", "grpcStatus", "http2Error"),),
)
_shape = fields({"delay": _delay, "abort": _abort})


def fault_injection(at: At, value: object) -> FaultInjection | None:
    """`fault`. What is not said to be for some of the requests is for none (Envoy's percentage)."""
    found = _shape(at, value)
    if found is None:
        return None
    if not found:
        at.fault("must have delay or abort, or both")
        return None
    delay, abort = found.get("delay"), found.get("abort")
    delay_ppm, abort_ppm = _ppm(at.down("delay"), delay), _ppm(at.down("abort"), abort)
    delay_ms = delay.get("fixedDelay", 0) if isinstance(delay, Mapping) else 0
    status, grpc = _aborted(at.down("abort"), abort)
    return FaultInjection(delay_ms, delay_ppm if delay_ms else 0, status, grpc, abort_ppm if status else 0)


def _ppm(at: At, given: object) -> int:
    if not isinstance(given, Mapping):
        return 0
    asked = given.get("percentage", given.get("percent", 0))
    if not asked:
        at.warn("does nothing: it is for 0 % of the requests, which is what no percentage says")
    return int(asked * PPM)


def _aborted(at: At, given: object) -> tuple[int, int]:
    """With which HTTP status, and which of gRPC."""
    found: Given = given if isinstance(given, Mapping) else {}
    if given is not None and not found.keys() & {"httpStatus", "grpcStatus"}:
        at.warn("does nothing: it says neither httpStatus nor grpcStatus")
    if isinstance(name := found.get("grpcStatus"), str):
        return 200, GRPC_STATUSES[name]
    status = found.get("httpStatus", 0)
    assert isinstance(status, int)
    return status, -1

"""Table 1.4: `outlierDetection`."""

from __future__ import annotations

from collections.abc import Mapping

from tests.rule_cases.cases import BETWEEN, MAPPING, OD, UNREAD, WHOLE, Case, durations, rows, switches


def _counts(row: str, name: str, at: str, beside: Mapping[str, object] | None = None) -> list[Case]:
    return rows(
        row,
        f"{OD}.{name}",
        f"outlier_detection.{at}",
        good=[(0, 0), (7, 7), (2**32 - 1, 2**32 - 1)],
        bad=[("3", WHOLE), (-1, BETWEEN), (2**32, BETWEEN), (True, WHOLE), (1.5, WHOLE), ([3], WHOLE)],
        beside=beside,
    )


OUTLIER = [
    *rows(
        "1.4 outlierDetection",
        OD,
        "outlier_detection.consecutive_5xx",
        good=[({}, 5)],
        bad=[([], MAPPING), ({"consecutive5xxErors": 3}, '(did you mean "consecutive5xxErrors"?)')],
    ),
    *_counts("1.4 consecutive5xxErrors", "consecutive5xxErrors", "consecutive_5xx"),
    *rows("1.4 consecutive5xxErrors", f"{OD}.consecutive5xxErrors", "outlier_detection.consecutive_5xx", [(None, 5)]),
    *_counts("1.4 consecutiveGatewayErrors", "consecutiveGatewayErrors", "consecutive_gateway"),
    *switches(
        "1.4 splitExternalLocalOriginErrors",
        f"{OD}.splitExternalLocalOriginErrors",
        "outlier_detection.split_local_origin",
    ),
    *_counts(
        "1.4 consecutiveLocalOriginFailures",
        "consecutiveLocalOriginFailures",
        "consecutive_local_origin",
        {"splitExternalLocalOriginErrors": True},
    ),
    *rows(
        "1.4 consecutiveLocalOriginFailures",
        f"{OD}.consecutiveLocalOriginFailures",
        good=[(0, UNREAD)],
        webhook=[(1, "needs splitExternalLocalOriginErrors: true")],
    ),
    *durations("1.4 interval", f"{OD}.interval", "outlier_detection.interval_ms"),
    *durations("1.4 baseEjectionTime", f"{OD}.baseEjectionTime", "outlier_detection.base_ejection_ms"),
    *rows(
        "1.4 maxEjectionPercent",
        f"{OD}.maxEjectionPercent",
        "outlier_detection.max_ejection_percent",
        good=[(1, 1), (100, 100), (0, 10)],
        bad=[("50%", WHOLE)],
        webhook=[(101, BETWEEN), (-1, BETWEEN)],
    ),
    *rows(
        "1.4 minHealthPercent",
        f"{OD}.minHealthPercent",
        "outlier_detection.min_health_percent",
        good=[(0, 0), (50, 50), (100, 100)],
        bad=[(0.5, WHOLE)],
        webhook=[(101, BETWEEN), (-1, BETWEEN)],
    ),
    *rows(
        "1.4 outlierDetectionHttpErrorCodes",
        f"{OD}.outlierDetectionHttpErrorCodes",
        "outlier_detection.http_error_codes",
        good=[([429, 503], (429, 503)), ([], ())],
        bad=[([99], BETWEEN), ([600], BETWEEN), (["5xx"], WHOLE), (429, "must be a list")],
    ),
    *rows(
        "1.4 consecutiveErrors",
        f"{OD}.consecutiveErrors",
        "outlier_detection.consecutive_5xx",
        good=[(3, 5)],
        bad=[("x", WHOLE)],
    ),
]

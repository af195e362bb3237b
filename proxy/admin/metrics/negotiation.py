"""What a scraper asks for in its request's head (RFC 9110 12.5). Pure."""

from collections.abc import Sequence

from proxy.admin.metrics.exposition import OPENMETRICS, TEXT

_OURS = {"application/openmetrics-text": OPENMETRICS, "text/plain": TEXT, "text/*": TEXT, "*/*": TEXT}


def form_of(accept: Sequence[str]) -> str:
    """The form to write in: OpenMetrics where that is liked at least as well, and text for whoever says nothing."""
    liked: dict[str, float] = {}
    for name, quality in _members(accept):
        if form := _OURS.get(name):
            liked[form] = max(liked.get(form, 0.0), quality)
    openmetrics = liked.get(OPENMETRICS, 0.0)
    return OPENMETRICS if openmetrics > 0 and openmetrics >= liked.get(TEXT, 0.0) else TEXT


def takes_gzip(accept_encoding: Sequence[str]) -> bool:
    """Whether the answer may be gzipped."""
    return any(name in ("gzip", "*") and quality > 0 for name, quality in _members(accept_encoding))


def _members(values: Sequence[str]) -> list[tuple[str, float]]:
    """(name, quality) of each member of a list that may be spread over several fields."""
    found = []
    for member in ",".join(values).split(","):
        name, *parameters = (part.strip() for part in member.split(";"))
        weights = [value for key, _, value in (each.partition("=") for each in parameters) if key.strip() == "q"]
        found.append((name.lower(), _quality(weights[0]) if weights else 1.0))
    return found


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0

"""Families as Prometheus reads them: its text format 0.0.4, and OpenMetrics 1.0. Pure.

Written by hand and not by prometheus_client: a thousand series are sixty megabytes of text, of which most are labels
that do not change; so they go out piece by piece, with their labels written once, and the controller does other things
meanwhile. The tests read it with that library's parsers.
"""

from collections.abc import Iterable, Iterator

from proxy.admin.metrics.family import COUNTER, HISTOGRAM, Distribution, Family, Labels

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def written(families: Iterable[Family], form: str) -> Iterator[str]:
    """In pieces, the largest being a histogram of one label set. `form`: TEXT or OPENMETRICS."""
    for family in families:
        told = False
        for labels, value in family.samples:
            if not told:
                told = True
                yield _heading(family, form)
            if isinstance(value, Distribution):
                yield _histogram(family, labels, value, form)
            else:
                yield f"{family.name}{_braced(labels.text)} {_number(value)}\n"
    if form == OPENMETRICS:
        yield "# EOF\n"


def _heading(family: Family, form: str) -> str:
    """OpenMetrics calls a counter's family by its name without `_total`."""
    name = family.name
    if form == OPENMETRICS and family.type == COUNTER:
        name = name.removesuffix("_total")
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n"


def _histogram(family: Family, labels: Labels, value: Distribution, form: str) -> str:
    lead = f'{family.name}_bucket{{{labels.text}{"," if labels.text else ""}le="'
    lines, seen = [], 0
    for bound, count in zip(_bounds(family, form), value.counts, strict=True):
        seen += count
        lines.append(f'{lead}{bound}"}} {seen}\n')
    braced = _braced(labels.text)
    lines.append(f"{family.name}_sum{braced} {_number(value.total)}\n{family.name}_count{braced} {seen}\n")
    return "".join(lines)


def _bounds(family: Family, form: str) -> list[str]:
    """OpenMetrics wants them as floats, always."""
    assert family.type == HISTOGRAM
    as_text = repr if form == OPENMETRICS else _number
    return [*(as_text(float(bound)) for bound in family.bounds), "+Inf"]


def _braced(text: str) -> str:
    return f"{{{text}}}" if text else ""


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

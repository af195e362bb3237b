"""An effective policy value by value, for people: what each is, whether a rule says it, and which, and whether it is in
force.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

from proxy.mesh.kinds import in_force
from proxy.mesh.kinds.destination_rule import (
    ABANDONED_ANNOTATION,
    FAILURE_PERCENTAGE_ANNOTATION,
    LIMITS_SCOPE_ANNOTATION,
    QUORUM_ANNOTATION,
    RECOVERY_ANNOTATION,
    SUCCESS_RATE_ANNOTATION,
)
from proxy.mesh.reading.lines import Path, path_text
from proxy.mesh.resolving.policies import ANNOTATIONS, MEMBERS
from proxy.mesh.traffic.fields import MILLISECONDS, api_name, values
from proxy.mesh.traffic.outlier import FailurePercentage, SuccessRate
from proxy.mesh.traffic.policy import EffectivePolicy

ALWAYS = frozenset(
    f"outlierDetection.{each}"
    for each in ("consecutive5xxErrors", "interval", "baseEjectionTime", "maxEjectionPercent")
) | {"connectionPool.tcp.connectTimeout"}
"""What is told though no rule says it, where its member is there."""


class Stated(NamedTuple):
    """A value. `rule` is "namespace/name", "" for a default; `path` where it stands there."""

    field: str
    value: str
    rule: str = ""
    path: Path = ()
    in_force: bool = True

    @property
    def stands(self) -> str:
        """`path` as messages write it."""
        return path_text(self.path)


def stated(policy: EffectivePolicy) -> Iterator[Stated]:
    """Everything that a rule says, and the defaults of what is in force."""
    for attribute, name in MEMBERS.items():
        member = getattr(policy, attribute)
        if member is not None:
            yield from _of(policy, name, member)
    if policy.rule:
        yield from _annotations(policy)


def _of(policy: EffectivePolicy, member: str, record: object) -> Iterator[Stated]:
    origin = policy.origins.get(member)
    for inner, attribute, value in values(record):
        name = f"{member}.{inner}"
        if origin and any(each == inner or each.startswith(f"{inner}.") for each in origin.said):
            yield Stated(
                name,
                written(value, attribute),
                origin.rule,
                (*origin.path, *inner.split(".")),
                in_force.is_in_force(name, value),
            )
        elif name in ALWAYS:
            yield Stated(name, written(value, attribute))


def _annotations(policy: EffectivePolicy) -> Iterator[Stated]:
    outlier, origin = policy.outlier_detection, policy.origins.get(ANNOTATIONS)
    found = {ABANDONED_ANNOTATION: time(policy.abandoned_ms) if policy.abandoned_ms else "off"}
    if origin and LIMITS_SCOPE_ANNOTATION in origin.said:
        found[LIMITS_SCOPE_ANNOTATION] = policy.limits_scope
    if outlier:
        found[RECOVERY_ANNOTATION] = "probe" if outlier.probe else "full"
        found[QUORUM_ANNOTATION] = str(outlier.local_origin_quorum)
        if outlier.success_rate:
            found[SUCCESS_RATE_ANNOTATION] = _settings(outlier.success_rate)
        if outlier.failure_percentage:
            found[FAILURE_PERCENTAGE_ANNOTATION] = _settings(outlier.failure_percentage)
    for name, value in found.items():
        if origin and name in origin.said:
            yield Stated(name, value, origin.rule, (*origin.path, name))
        else:
            yield Stated(name, value)


def _settings(detector: SuccessRate | FailurePercentage) -> str:
    return " ".join(f"{each.name}={getattr(detector, each.name)}" for each in dataclasses.fields(detector))


def written(value: object, attribute: str = "") -> str:
    """A value as one reads it; of an `attribute` in milliseconds, as a time."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and attribute.endswith(MILLISECONDS):
        return time(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(written, value))}]"
    if dataclasses.is_dataclass(value):
        parts = ((api_name(each), each.name) for each in dataclasses.fields(cast(Any, value)))
        return f"{{{', '.join(f'{name} {written(getattr(value, own), own)}' for name, own in parts)}}}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def time(milliseconds: int) -> str:
    """0s, 250ms, 1.5s."""
    return f"{milliseconds}ms" if milliseconds % 1000 and milliseconds < 1000 else f"{milliseconds / 1000:g}s"

"""`trafficDistribution` of a Service, or Istio's annotation of the same meaning on it or on its Namespace."""

from __future__ import annotations

from collections.abc import Mapping

from proxy.mesh.kinds.nodes import HOSTNAME, NETWORK, REGION, SUBZONE, ZONE
from proxy.mesh.reading.remarks import shown, suggestion
from proxy.mesh.reading.schema import At

ANNOTATION = "networking.istio.io/traffic-distribution"
_ZONE = (NETWORK, REGION, ZONE)
PRIORITIES: Mapping[str, tuple[str, ...]] = {
    "PreferClose": _ZONE,
    "PreferSameZone": _ZONE,
    "PreferSameNode": (*_ZONE, SUBZONE, HOSTNAME),
}
"""What each stands for, as `failoverPriority` has it (Istio's GetLocalityLbSetting)."""
ANY = "Any"


def distribution(at: At, value: object) -> str | None:
    """One that is known; "" for any endpoint. What is not known does nothing, in Istio too."""
    if not isinstance(value, str):
        at.fault(f"must be text, not {shown(value)}")
        return None
    if value in PRIORITIES:
        return value
    if value not in ("", ANY):
        at.warn(f"{shown(value)} is not known, so it does nothing{suggestion(value, list(PRIORITIES))}")
    return ""

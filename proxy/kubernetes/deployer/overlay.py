"""What a user's parameters change of what is made: partial objects, laid over ours (a ConfigMap, as Istio has it).

    data:
      deployment: |
        spec: {replicas: 3}
      horizontalPodAutoscaler: |
        spec: {minReplicas: 2, maxReplicas: 5}

Mappings are merged, null takes a field away. A list is replaced, but for lists of named things (containers, env,
volumes, ports), where each takes the place of ours of that name: the rules of strategic merge that matter here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

Object = dict[str, Any]

KINDS = {
    "deployment": "Deployment",
    "service": "Service",
    "serviceAccount": "ServiceAccount",
    "podDisruptionBudget": "PodDisruptionBudget",
    "horizontalPodAutoscaler": "HorizontalPodAutoscaler",
}
"""The keys of a ConfigMap of parameters, and what each is laid over."""
_FIXED = ("apiVersion", "kind")
_FIXED_METADATA = ("name", "namespace", "ownerReferences")


class BadParameters(ValueError):
    """Parameters that cannot be used; the text names the key."""


def read(data: Mapping[str, str]) -> dict[str, Object]:
    """The partial objects by kind."""
    unknown = sorted(set(data) - set(KINDS))
    if unknown:
        raise BadParameters(f"{unknown[0]}: is none of {', '.join(KINDS)}")
    return {KINDS[key]: _partial(key, text) for key, text in data.items()}


def _partial(key: str, text: str) -> Object:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise BadParameters(f"{key}: is not YAML: {getattr(fault, 'problem', None) or fault}") from None
    if not isinstance(found, dict):
        raise BadParameters(f"{key}: must be a part of the object, such as `spec: {{replicas: 3}}`")
    metadata = found.get("metadata", {})
    if not isinstance(metadata, dict):
        raise BadParameters(f"{key}: metadata must be a mapping")
    for field in ("labels", "annotations"):
        if not isinstance(metadata.get(field) or {}, dict):
            raise BadParameters(f"{key}: metadata.{field} must be a mapping")
    fixed = [each for each in _FIXED if each in found]
    fixed += [f"metadata.{each}" for each in _FIXED_METADATA if each in metadata]
    if fixed:
        raise BadParameters(f"{key}: {fixed[0]} is not for parameters to change")
    return found


def laid_over(ours: Any, theirs: Any) -> Any:
    """Theirs over ours; neither is changed."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        merged = {key: laid_over(ours.get(key), value) for key, value in theirs.items() if value is not None}
        return {key: value for key, value in ours.items() if key not in theirs} | merged
    if _named(ours) and _named(theirs):
        by_name = {each["name"]: each for each in ours}
        return [*{**by_name, **{each["name"]: laid_over(by_name.get(each["name"]), each) for each in theirs}}.values()]
    return theirs


def _named(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(each, dict) and "name" in each for each in value)

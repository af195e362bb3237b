"""The part every Kubernetes object has: kind, name, namespace, labels.

Names end up in log lines and Redis keys, so they are held to Kubernetes' own rules here, at the door.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from proxy.mesh.reading.lines import Lines, Path
from proxy.mesh.reading.manifests import Body, Manifest
from proxy.mesh.reading.remarks import Key

DEFAULT_NAMESPACE = "default"
ACKNOWLEDGED = "waypointd.io/acknowledged"
CLUSTER_SCOPED = frozenset({"Namespace", "Node", "GatewayClass"})

# Their names become part of a host name, so one DNS label is all they may be.
_LABEL_NAMED = frozenset({"Namespace", "Service"})
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def is_label(text: str) -> bool:
    """Whether `text` is a DNS-1123 label, what namespaces are called."""
    return _LABEL.fullmatch(text) is not None


def is_subdomain(text: str) -> bool:
    """Whether `text` is a DNS-1123 subdomain, what most objects are called."""
    return _SUBDOMAIN.fullmatch(text) is not None and ".." not in text


def metadata_of(body: Body) -> dict[str, object]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def texts_of(body: Body, name: str) -> dict[str, str]:
    """The `labels` or `annotations`."""
    value = metadata_of(body).get(name)
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def is_stored(body: Body) -> bool:
    """Whether an API server has given it back: what it did not know of it is gone."""
    return bool(metadata_of(body).get("uid"))


def is_acknowledged(body: Body) -> bool:
    """Whether somebody has said that the warnings about the object are known."""
    return texts_of(body, "annotations").get(ACKNOWLEDGED) == "true"


def manifest_of(key: Key, body: Body, lines: Lines) -> Manifest:
    """The heading, whatever is wrong in it."""
    created = metadata_of(body).get("creationTimestamp")
    return Manifest(key, texts_of(body, "labels"), created if isinstance(created, str) else "", lines)


def named(body: Body, kind: str, understood: bool) -> Key:
    """What an object is called, with kubectl's default namespace where a kind that is `understood` needs one."""
    metadata = metadata_of(body)
    namespace, name = metadata.get("namespace"), metadata.get("name")
    if understood and kind in CLUSTER_SCOPED:
        namespace = ""
    elif not namespace and understood:
        namespace = DEFAULT_NAMESPACE
    return Key(kind, namespace if isinstance(namespace, str) else "", name if isinstance(name, str) else "")


def heading(body: object) -> Key:
    """What a message calls an object, as far as that can be read."""
    if not isinstance(body, dict):
        return Key("", "", "")
    kind = body.get("kind")
    return named(body, kind, _name_is_text(body)) if isinstance(kind, str) and kind else named(body, "", False)


def _name_is_text(body: Body) -> bool:
    return isinstance(metadata_of(body).get("name"), str)


def metadata_faults(body: Body, kind: str) -> Iterator[tuple[Path, str]]:
    """What is wrong with `metadata`: where, and the text."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict):
        yield ("metadata",), "is missing, or not a mapping"
        return
    yield from _name_faults(metadata, kind)
    for field in ("labels", "annotations"):
        yield from _text_faults(metadata, field)
    created = metadata.get("creationTimestamp")
    if created is not None and not (isinstance(created, str) and _TIME.fullmatch(created)):
        yield ("metadata", "creationTimestamp"), "must be a time such as 2025-03-11T19:45:12Z"


def _name_faults(metadata: dict[str, object], kind: str) -> Iterator[tuple[Path, str]]:
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if name is None or name == "":
        yield ("metadata", "name"), "is missing"
    elif not isinstance(name, str):
        yield ("metadata", "name"), "must be text (put quotes around it)"
    elif not (is_label(name) if kind in _LABEL_NAMED else is_subdomain(name)):
        yield ("metadata", "name"), "is not a name: use lower-case letters, digits and -"
    if kind in CLUSTER_SCOPED or namespace is None:
        return
    if not isinstance(namespace, str) or (namespace and not is_label(namespace)):
        yield ("metadata", "namespace"), "is not the name of a namespace"


def _text_faults(metadata: dict[str, object], field: str) -> Iterator[tuple[Path, str]]:
    texts = metadata.get(field)
    if texts is None:
        return
    if not isinstance(texts, dict):
        yield ("metadata", field), "must be a mapping"
        return
    for key, value in texts.items():
        if not isinstance(value, str | None):
            yield ("metadata", field, key), "must be text (put quotes around it)"

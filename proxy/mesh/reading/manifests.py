"""Documents in, Kubernetes objects out, each with its file and the line of every field.

Knows only what all objects share: apiVersion, kind, metadata, `List`. What a kind means is for the modules that build
on this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.mesh.model import Fault, printable
from proxy.mesh.reading.lines import Lines, path_of, path_text
from proxy.mesh.reading.metadata import heading, identity, metadata_faults, metadata_of
from proxy.mesh.reading.tree import Tree, read

_CORE = ""
_ISTIO_NETWORK = "networking.istio.io"
_ISTIO_SECURITY = "security.istio.io"
_GATEWAY_API = "gateway.networking.k8s.io"

# kind -> (API group, versions that say the same for what is read here).
KINDS: dict[str, tuple[str, frozenset[str]]] = {
    "Namespace": (_CORE, frozenset({"v1"})),
    "Service": (_CORE, frozenset({"v1"})),
    "Pod": (_CORE, frozenset({"v1"})),
    "Node": (_CORE, frozenset({"v1"})),
    "EndpointSlice": ("discovery.k8s.io", frozenset({"v1"})),
    "Gateway": (_GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "GatewayClass": (_GATEWAY_API, frozenset({"v1", "v1beta1"})),
    "DestinationRule": (_ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "ServiceEntry": (_ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "WorkloadEntry": (_ISTIO_NETWORK, frozenset({"v1", "v1beta1", "v1alpha3"})),
    "AuthorizationPolicy": (_ISTIO_SECURITY, frozenset({"v1", "v1beta1"})),
    "RequestAuthentication": (_ISTIO_SECURITY, frozenset({"v1", "v1beta1"})),
}
# Same kind names in other well-known groups: not a slip of the pen, so not worth a warning.
_NAMESAKES = frozenset({(_ISTIO_NETWORK, "Gateway"), ("serving.knative.dev", "Service")})


@dataclass(frozen=True, slots=True)
class Document:
    """The text of one file; `path` is what messages call it."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object as written. `body` is the whole object as plain values, and must not be changed."""

    api_version: str
    kind: str
    namespace: str
    name: str
    body: dict[str, object]
    path: str
    lines: Lines

    @property
    def id(self) -> str:
        """`namespace/name`, or the name alone for what has no namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def line(self) -> int:
        return self.lines.line

    def line_of(self, field_text: str) -> int:
        """Line of a field written as `spec.ports[0].name`, or of the nearest thing around it that is there."""
        return self.lines.line_of(path_of(field_text))

    @property
    def labels(self) -> dict[str, str]:
        return self._texts("labels")

    @property
    def annotations(self) -> dict[str, str]:
        return self._texts("annotations")

    @property
    def spec(self) -> dict[str, object]:
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def created(self) -> str:
        """`metadata.creationTimestamp`; RFC 3339 in UTC, so it sorts as text. "" when absent."""
        value = metadata_of(self.body).get("creationTimestamp")
        return value if isinstance(value, str) else ""

    def _texts(self, name: str) -> dict[str, str]:
        value = metadata_of(self.body).get(name)
        if not isinstance(value, dict):
            return {}
        return {key: text for key, text in value.items() if isinstance(text, str)}


@dataclass(slots=True)
class Objects:
    """What the documents held."""

    manifests: list[Manifest] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    unknown_kinds: dict[str, int] = field(default_factory=dict)

    def of(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest.kind == kind]


class Trees:
    """Documents already read: of thousands of files one changes, and parsing the others again takes seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Document, tuple[Tree, ...]]] = {}

    def of(self, documents: Iterable[Document]) -> Iterator[tuple[str, Tree]]:
        """Every tree with its document's path. What is not among `documents` is forgotten at the end."""
        before, self._known = self._known, {}
        for document in documents:
            known = before.get(document.path)
            if known is None or known[0] != document:
                known = document, tuple(read(document.text))
            self._known[document.path] = known
            for tree in known[1]:
                yield document.path, tree


def read_objects(documents: Iterable[Document], trees: Trees | None = None) -> Objects:
    """Every object of understood kinds, and everything wrong with how they are written. Never raises."""
    reader = _Reader()
    for path, tree in (trees or Trees()).of(documents):
        reader.take(path, tree)
    return reader.objects


class _Reader:
    def __init__(self) -> None:
        self.objects = Objects()
        self._seen: dict[tuple[str, str, str, str], str] = {}

    def take(self, path: str, tree: Tree) -> None:
        kind, name = heading(tree.value)
        for problem in tree.problems:
            self._fault(path, problem.line, kind, name, path_text(problem.path), problem.text)
        # With a duplicate key the object is still read: its other faults are told at the same time.
        if tree.value is not None:
            self._object(path, tree.value, tree.lines, "")

    def _object(self, path: str, body: object, lines: Lines, implied_kind: str) -> None:
        if not isinstance(body, dict):
            self._fault(path, lines.line, "", "", "", "a Kubernetes object must be a mapping with apiVersion and kind")
            return
        kind, api_version = body.get("kind") or implied_kind, body.get("apiVersion")
        if not isinstance(kind, str) or not kind:
            self._fault(path, lines.line_of(("kind",)), "", "", "kind", "is missing, or not text")
            return
        if isinstance(body.get("items"), list) and kind.endswith("List"):
            self._list(path, body, lines, kind)
            return
        if not isinstance(api_version, str) or not api_version:
            if not implied_kind:
                name = heading(body)[1]
                self._fault(path, lines.line_of(("apiVersion",)), kind, name, "apiVersion", "is missing, or not text")
                return
            api_version = ""
        self._named(path, body, lines, kind, api_version)

    def _list(self, path: str, body: dict[str, object], lines: Lines, kind: str) -> None:
        items = body["items"]
        assert isinstance(items, list)
        inner = lines.children["items"]
        for index, item in enumerate(items):
            # The items of a `ServiceList`, unlike those of a `List`, may leave out what the list's name says.
            self._object(path, item, inner.children[index], "" if kind == "List" else kind.removesuffix("List"))

    def _named(self, path: str, body: dict[str, object], lines: Lines, kind: str, api_version: str) -> None:
        group, _, version = api_version.rpartition("/")
        known = KINDS.get(kind)
        understood = known is not None and (known[0] == group or not api_version)
        namespace, name = identity(body, kind if understood else "")
        if known is None or not understood:
            self._unknown(path, lines, kind, group, namespace, name)
            return
        bad = list(metadata_faults(body, kind))
        if api_version and version not in known[1]:
            text = f"{api_version[:100]} is not read by this version; use {f'{group}/v1'.lstrip('/')}"
            bad.append((("apiVersion",), text))
        subject = f"{namespace}/{name}" if namespace else name
        for where, text in bad:
            self._fault(path, lines.line_of(where), kind, subject, path_text(where), text)
        if not bad:
            self._once(path, lines.line, group, kind, namespace, name)
        # Kept whatever is wrong with it so far, so that the rest of what is wrong is told at the same time.
        self.objects.manifests.append(Manifest(api_version, kind, namespace, name, body, path, lines))

    def _unknown(self, path: str, lines: Lines, kind: str, group: str, namespace: str, name: str) -> None:
        label = f"{kind}.{group}" if group else kind
        label = printable(label[:150])
        self.objects.unknown_kinds[label] = self.objects.unknown_kinds.get(label, 0) + 1
        if kind in KINDS and (group, kind) not in _NAMESAKES:
            text = f"ignored: the {kind} understood here is of {KINDS[kind][0] or 'the core group (v1)'}"
            subject = f"{namespace}/{name}" if namespace else name
            self.objects.warnings.append(Fault(path, lines.line_of(("apiVersion",)), kind, subject, "apiVersion", text))
        if name:
            self._once(path, lines.line, group, kind, namespace, name)

    def _once(self, path: str, line: int, group: str, kind: str, namespace: str, name: str) -> None:
        key = (group, kind, namespace, name)
        if key in self._seen:
            subject = f"{namespace}/{name}" if namespace else name
            self._fault(path, line, kind, subject, "", f"given twice (first in {self._seen[key]})")
        self._seen.setdefault(key, f"{path}:{line}")

    def _fault(self, path: str, line: int, kind: str, name: str, where: str, text: str) -> None:
        self.objects.faults.append(Fault(path, line, kind, name, where, text))

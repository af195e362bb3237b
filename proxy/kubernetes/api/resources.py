"""Resources of the API by name, and the paths under which they are found."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True, order=True)
class Resource:
    """One kind of objects as the API serves it. `group` is "" for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """`services`, `gateways.gateway.networking.k8s.io`: what kubectl calls it without doubt."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The path of all objects, of those of a namespace, or of one."""
        root = f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"
        steps = [root, *(("namespaces", namespace) if namespace and self.namespaced else ()), self.plural, name]
        return "/".join([*(quote(step, safe="/") for step in steps if step), *([subresource] if subresource else [])])


@dataclass(frozen=True, slots=True, order=True)
class Watched:
    """What one watch delivers: a resource, in one namespace or in all (""), narrowed by selectors.

    `optional`: to be without it costs nothing but advice, so that a right that is missing is no reason to wait.
    `heading`: of each object its metadata is all that is asked for (PartialObjectMetadata), where the rest is long.
    `name`: one object, which is asked for by its name again and again.
    """

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    optional: bool = False
    heading: bool = False
    name: str = ""

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        which = "".join(f" with {each}" for each in (self.labels, self.fields) if each)
        return f"{self.resource.full_name}{f' {self.name}' if self.name else ''}{where}{which}"

    @property
    def rule(self) -> str:
        """The rule of RBAC that allows it, and where it has to stand."""
        group, plural = self.resource.group, self.resource.plural
        names, verbs = (f", resourceNames: [{self.name}]", "get") if self.name else ("", "get, list, watch")
        rule = f'{{apiGroups: ["{group}"], resources: [{plural}]{names}, verbs: [{verbs}]}}'
        return f"{rule} in a Role of namespace {self.namespace}" if self.namespace else f"{rule} in a ClusterRole"

    def query(self) -> dict[str, str]:
        """The selectors as the API wants them."""
        pairs = {"labelSelector": self.labels, "fieldSelector": self.fields}
        return {name: value for name, value in pairs.items() if value}

"""What a waypoint may do: read exactly what it watches (`source.plan`), write Events, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any

from proxy.kubernetes.api.resources import Resource
from proxy.kubernetes.deployer.wish import GATEWAY_NAME, GATEWAY_NAMESPACE, Wish
from proxy.kubernetes.source import kinds, named
from proxy.mesh.kinds.namespaces import ROOT_NAMESPACE

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_TELL = {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]}
"""What `kubectl describe` says of an ejected Pod or a refused object."""
_OWN = (kinds.GATEWAYS, kinds.SERVICES, *kinds.OF_SERVED, *kinds.ADVISED)


def rights_of(
    wish: Wish,
    rules: Sequence[Object] = (),
    led_to: Iterable[str] = (),
    certificates: Mapping[str, Set[str]] = MappingProxyType({}),
) -> Iterator[Object]:
    """Roles and bindings of a waypoint's ServiceAccount. Those that stand elsewhere are found again by their labels.

    `rules`: DestinationRules that name Secrets and ConfigMaps, by which it gets these, and no others. `led_to`: other
    namespaces that its routes may send requests to. `certificates`: Secrets of its listeners, by namespace."""
    own = [*_rules(_OWN), *_named(wish, rules, wish.namespace, certificates), _TELL]
    yield from _bound("Role", wish.name, wish.namespace, own, wish)
    for namespace in sorted({ROOT_NAMESPACE, *led_to, *certificates} - {wish.namespace}):
        read = [*(kinds.OF_BACKENDS if namespace in led_to else ())]
        read += (each for each in kinds.OF_ROOT if namespace == ROOT_NAMESPACE and each not in read)
        tell = [_TELL] if read else []
        there = [*_rules(read), *_named(wish, rules, namespace, certificates), *tell]
        yield from _bound("Role", _full_name(wish), namespace, there, wish)
    yield from _bound("ClusterRole", _full_name(wish), "", list(_cluster_rules(wish)), wish)


def _cluster_rules(wish: Wish) -> Iterator[Object]:
    """Its own Namespace and class by name, where Nodes stand, and routes, each of which says itself whose it is; with a
    listener for others, whatever may be bound to it."""
    yield _rules([kinds.GATEWAY_CLASSES])[0] | {"resourceNames": [wish.class_name]}
    yield from _rules([kinds.NODES, *kinds.ROUTES, kinds.GRANTS])
    if not wish.reaches_out:
        yield _rules([kinds.NAMESPACES])[0] | {"resourceNames": [wish.namespace]}
        return
    yield from _rules([kinds.NAMESPACES, kinds.SERVICES, *kinds.OF_SERVED, *kinds.ADVISED])
    yield _TELL


def _named(
    wish: Wish, rules: Sequence[Object], namespace: str, certificates: Mapping[str, Set[str]]
) -> Iterator[Object]:
    """What its listeners, and rules that may concern the Gateway, name there: of rules Secrets stand beside it,
    ConfigMaps beside their rules."""
    near = (wish.namespace, ROOT_NAMESPACE)
    those = [each for each in rules if wish.reaches_out or each["metadata"]["namespace"] in near]
    secrets = {name for each in those for name in named.secrets(each)} if namespace == wish.namespace else set()
    secrets |= certificates.get(namespace, set())
    maps = {name for each in those if each["metadata"]["namespace"] == namespace for name in named.config_maps(each)}
    for resource, names in ((kinds.SECRETS, secrets), (kinds.CONFIG_MAPS, maps)):
        if names:
            yield {"apiGroups": [""], "resources": [resource.plural], "resourceNames": sorted(names), "verbs": ["get"]}


def _rules(resources: Sequence[Resource]) -> list[Object]:
    """By group, as people write them."""
    groups: dict[str, list[str]] = {}
    for each in resources:
        groups.setdefault(each.group, []).append(each.plural)
    return [{"apiGroups": [group], "resources": plurals, "verbs": _READ} for group, plurals in groups.items()]


def _bound(kind: str, name: str, namespace: str, rules: list[Object], wish: Wish) -> Iterator[Object]:
    metadata: Object = {"name": name, "labels": wish.own_labels()}
    if namespace:
        metadata["namespace"] = namespace
    if namespace == wish.namespace:
        metadata["ownerReferences"] = [wish.owner()]
    else:
        metadata["labels"] |= {GATEWAY_NAMESPACE: wish.namespace, GATEWAY_NAME: wish.name}
    version = f"{_RBAC}/v1"
    yield {"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules}
    reference = {"apiGroup": _RBAC, "kind": kind, "name": name}
    account = {"kind": "ServiceAccount", "name": wish.account, "namespace": wish.namespace}
    binding = f"{kind}Binding"
    yield {"apiVersion": version, "kind": binding, "metadata": metadata, "roleRef": reference, "subjects": [account]}


def _full_name(wish: Wish) -> str:
    """Of what many namespaces share: a colon is in no name of a Gateway, so it is nobody else's."""
    return f"waypointd:{wish.namespace}:{wish.name}"

"""VirtualServices that leave a part of their rules to others (`delegate`): Istio's MergeHTTPRoutes.

A delegate's rules stand in the place of the root's rule, each with the matches of both. What a delegate does not say
the root says. A rule that asks for what the root's matches rule out is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from proxy.mesh.kinds.string_match import StringMatch
from proxy.mesh.kinds.virtual_match import Match
from proxy.mesh.kinds.virtual_service import Http, VirtualService
from proxy.mesh.reading.lines import Path
from proxy.mesh.reading.report import Report
from proxy.mesh.traffic.routing import Op

Find = Callable[[str, str], VirtualService | None]
"""A VirtualService by namespace and name."""
_TEXTS = ("uri", "scheme", "method", "authority")
_NAMED = ("headers", "without_headers", "query_params")
_INHERITED = (
    "rewrite",
    "direct_response",
    "timeout",
    "retries",
    "fault",
    "mirror",
    "mirror_percent",
    "mirror_percentage",
    "cors_policy",
    "mirrors",
    "headers",
)


class Placed(NamedTuple):
    """A rule that counts, and in which VirtualService it stands where. `name`: for people and the log."""

    rule: Http
    owner: VirtualService
    path: Path
    name: str


def rules(root: VirtualService, find: Find, report: Report) -> Iterator[Placed]:
    """All of a VirtualService, in order, up to the one that no request comes past."""
    for index, rule in enumerate(root.http):
        path: Path = ("spec", "http", index)
        called = f"{root.manifest.kind} {root.manifest.id} rule {rule.name or index}"
        if rule.delegate:
            yield from _delegated(root, Placed(rule, root, path, called), find, report)
        else:
            yield Placed(rule, root, path, called)
        if not rule.match:
            return


def _delegated(root: VirtualService, placed: Placed, find: Find, report: Report) -> Iterator[Placed]:
    assert placed.rule.delegate
    namespace = placed.rule.delegate.namespace or root.manifest.namespace
    called = f"{namespace}/{placed.rule.delegate.name}"
    found = find(namespace, placed.rule.delegate.name)
    if text := _unusable(root, called, found):
        report.warn(root.manifest, (*placed.path, "delegate"), f"{text}, so the rule is left out")
        return
    assert found
    for index, rule in enumerate(found.http):
        path: Path = ("spec", "http", index)
        matches = _merged(placed.rule.match, rule.match)
        if matches is None:
            text = f"is left out for {root.manifest.id}: no match of {placed.name} has room for this one"
            report.warn(found.manifest, (*path, "match"), text)
            continue
        taken = {name: getattr(placed.rule, name) for name in _INHERITED if getattr(rule, name) is None}
        yield Placed(
            replace(rule, match=matches, **taken),
            found,
            path,
            f"{placed.name}, {found.manifest.id} rule {rule.name or index}",
        )


def _unusable(root: VirtualService, called: str, found: VirtualService | None) -> str:
    if found is None:
        return f"there is no VirtualService {called} among what is read here"
    if found.hosts:
        return f"VirtualService {called} has hosts, which a delegate must not have"
    hidden = not found.visible_in(root.manifest.namespace)
    return f"VirtualService {called} is not exported to namespace {root.manifest.namespace}" if hidden else ""


def _merged(root: tuple[Match, ...], leaf: tuple[Match, ...]) -> tuple[Match, ...] | None:
    """Each pair of theirs; None: one of the delegate's has no room in any of the root's."""
    if not root or not leaf:
        return leaf or root
    found = []
    for each in leaf:
        pairs = [_both(one, each) for one in root if not _conflict(one, each)]
        if not pairs:
            return None
        found += pairs
    return tuple(found)


def _both(root: Match, leaf: Match) -> Match:
    texts: dict[str, Any] = {name: getattr(leaf, name) or getattr(root, name) for name in _TEXTS}
    named: dict[str, Any] = {name: {**getattr(root, name), **getattr(leaf, name)} for name in _NAMED}
    return replace(
        leaf,
        **texts,
        **named,
        port=leaf.port or root.port,
        source_labels=tuple(sorted({**dict(root.source_labels), **dict(leaf.source_labels)}.items())),
        source_namespace=leaf.source_namespace or root.source_namespace,
        gateways=leaf.gateways or root.gateways,
    )


def _conflict(root: Match, leaf: Match) -> bool:
    """Whether the delegate's match is not narrower than the root's."""
    roots, labels = dict(root.source_labels), dict(leaf.source_labels)
    return (
        any(_widens(getattr(root, name), getattr(leaf, name)) for name in _TEXTS)
        or any(_any_widens(getattr(root, name), getattr(leaf, name)) for name in _NAMED)
        or root.ignore_uri_case is not leaf.ignore_uri_case
        or (root.port and leaf.port and root.port != leaf.port)
        or (root.source_namespace and root.source_namespace != leaf.source_namespace)
        or any(key in roots and roots[key] != value for key, value in labels.items())
        or bool(root.gateways and not set(leaf.gateways) <= set(root.gateways))
    )


def _any_widens(root: Mapping[str, StringMatch], leaf: Mapping[str, StringMatch]) -> bool:
    return any(_widens(root.get(name), match) for name, match in leaf.items())


def _widens(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Istio's stringMatchConflict: expressions go with nothing else, and a prefix goes before what begins with it."""
    if root is None or leaf is None:
        return False
    if root.op is Op.IS:
        return root != leaf
    return root.op is not Op.STARTS or leaf.op not in (Op.STARTS, Op.IS) or not leaf.text.startswith(root.text)

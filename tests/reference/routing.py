"""Which rule a request is for, by the letter: rows M, A, G and V of the reference, over objects as people write them.

Every match of every route is judged, and of those that hold the best one is taken: nothing is put in order beforehand.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.reference.asked import Asked
from tests.reference.paths import normal

Object = Mapping[str, Any]
NOBODY, ITSELF, AMBIGUOUS = "404", "the Service", "400"


def rule_for(routes: Sequence[Object], asked: Asked) -> str:
    """`KIND NAMESPACE/NAME INDEX` of the rule of one of these HTTPRoutes and GRPCRoutes of Service shop/cart, or one of
    the words above."""
    mine = [each for each in routes if _attached(each, asked.port)]
    if not mine:
        return ITSELF
    path = normal(asked.path)
    if path is None:
        return AMBIGUOUS
    asked = asked.of(path)
    owners = ({asked.namespace} if asked.namespace != "shop" else set()) & {_namespace(each) for each in mine}
    chosen = [each for each in mine if _namespace(each) in (owners or {"shop"})]
    if not chosen:
        return ITSELF
    kind = min(chosen, key=age)["kind"]  # A15: of two kinds the oldest route's
    found = [pair for each in chosen if each["kind"] == kind for pair in _fitting(each, asked)]
    return min(found)[1] if found else NOBODY


def age(route: Object) -> tuple[str, ...]:
    """M2: the lowest is asked first."""
    said = route["metadata"]
    return said["creationTimestamp"], said["namespace"], said["name"], route["kind"]


def _namespace(route: Object) -> str:
    return str(route["metadata"]["namespace"])


def _attached(route: Object, port: int) -> bool:
    refs = [each for each in route["spec"]["parentRefs"] if each.get("namespace", _namespace(route)) == "shop"]
    return any(each["name"] == "cart" and each.get("port", port) == port for each in refs)


def _fitting(route: Object, asked: Asked) -> Iterator[tuple[tuple[Any, ...], str]]:
    """M2, M3: the matches that hold, each with its rank, the lowest first."""
    name = f"{route['kind']} {_namespace(route)}/{route['metadata']['name']}"
    ranked, holds = (rank, _holds) if route["kind"] == "HTTPRoute" else (_grpc_rank, _grpc_holds)
    for at, rule in enumerate(route["spec"]["rules"]):
        for match in rule.get("matches") or [{}]:
            if holds(match, asked):
                yield (*ranked(match), *age(route), at), f"{name} {at}"


def rank(match: Object) -> tuple[int, ...]:
    """M2, M4; M6: a slash at a prefix's end makes it no longer."""
    path = match.get("path", {"value": "/"})
    kind = ("Exact", "PathPrefix", "RegularExpression").index(path.get("type", "PathPrefix"))
    longest = 0 if kind == 0 else -len(path["value"].rstrip("/") if kind == 1 else path["value"])
    return (kind, longest, "method" not in match, -len(match.get("headers", ())), -len(match.get("queryParams", ())))


def _holds(match: Object, asked: Asked) -> bool:
    path, _, query = asked.path.partition("?")
    return (
        _path(match.get("path", {"value": "/"}), path)
        and match.get("method", asked.method) == asked.method
        and _headers(match, asked)
        and all(
            any(_text(each, first) for first in _first(query, each["name"])) for each in match.get("queryParams", ())
        )
    )


def _headers(match: Object, asked: Asked) -> bool:
    """M10, M11, G3."""
    return all(any(_text(each, line) for line in asked.values(each["name"])) for each in match.get("headers", ()))


def _grpc_rank(match: Object) -> tuple[int, ...]:
    """G2."""
    called = match.get("method", {})
    return -len(called.get("service", "")), -len(called.get("method", "")), -len(match.get("headers", ()))


def _grpc_holds(match: Object, asked: Asked) -> bool:
    return _called(match.get("method", {}), asked.path.partition("?")[0]) and _headers(match, asked)


def _called(wanted: Object, path: str) -> bool:
    """G1: a service alone is a prefix, however the path goes on; of an expression each part is one segment."""
    if not wanted:
        return True
    plain = wanted.get("type") != "RegularExpression"
    service, method = (
        f"(?:{re.escape(wanted[name]) if plain else wanted[name]})" if name in wanted else "[^/]+"
        for name in ("service", "method")
    )
    if plain and "method" not in wanted:
        method = ".*"
    return re.fullmatch(f"/{service}/{method}", path) is not None


def _path(wanted: Object, path: str) -> bool:
    """M5, M6, M8."""
    kind, value = wanted.get("type", "PathPrefix"), wanted["value"]
    if kind == "PathPrefix":
        return f"{path}/".startswith(f"{value.rstrip('/')}/")
    return path == value if kind == "Exact" else re.fullmatch(value, path) is not None


def _text(wanted: Object, text: str) -> bool:
    if wanted.get("type") == "RegularExpression":
        return re.fullmatch(wanted["value"], text) is not None
    return bool(wanted["value"] == text)


def _first(query: str, name: str) -> list[str]:
    """M12: the first value, as it came."""
    pairs = [each.partition("=") for each in query.split("&")]
    return [value for key, _, value in pairs if key == name][:1]


# -- VirtualService ---------------------------------------------------------------------------------------------------


def virtual_rule(virtuals: Sequence[Object], asked: Asked) -> str:
    """`VirtualService NAMESPACE/NAME INDEX` of the rule of the only VirtualService, or one of the words above."""
    (virtual,) = virtuals
    if not any(each.get("port", asked.port) == asked.port for rule in _http(virtual) for each in rule["match"]):
        return ITSELF
    path = normal(asked.path)
    if path is None:
        return AMBIGUOUS
    asked = asked.of(path)
    for at, rule in enumerate(_http(virtual)):  # V2
        if any(_virtual_holds(each, asked) for each in rule["match"]):
            return f"VirtualService {_namespace(virtual)}/{virtual['metadata']['name']} {at}"
    return NOBODY


def _http(virtual: Object) -> list[Object]:
    return [{"match": [{}]} | each for each in virtual["spec"]["http"]]


def _virtual_holds(match: Object, asked: Asked) -> bool:
    path, _, query = asked.path.partition("?")
    fold = match.get("ignoreUriCase", False)
    whole = {"method": asked.method, "authority": asked.host, "scheme": "http"}
    return (
        ("uri" not in match or _like(match["uri"], path, fold))
        and all(name not in match or _like(match[name], text) for name, text in whole.items())
        and match.get("port", asked.port) == asked.port
        and match.get("sourceNamespace", asked.namespace) == asked.namespace
        and all(any(_like(wanted, each) for each in _first(query, name)) for name, wanted in _of(match, "queryParams"))
        and all(any(_like(wanted, each) for each in _said(name, asked)) for name, wanted in _of(match, "headers"))
        and not any(_unlike(wanted, _said(name, asked)) for name, wanted in _of(match, "withoutHeaders"))
    )


def _of(match: Object, kind: str) -> Iterator[tuple[str, Object]]:
    yield from match.get(kind, {}).items()


def _said(name: str, asked: Asked) -> list[str]:
    """Lines of a header, or the texts of a claim (V8)."""
    claim = name.removeprefix("@request.auth.claims.")
    if claim == name:
        return asked.values(name)
    found = (asked.claims or {}).get(claim)
    listed = found if isinstance(found, list) else [found]
    return [each for each in listed if isinstance(each, str)]


def _unlike(wanted: Object, values: list[str]) -> bool:
    """V5: what is missing counts as empty, unless it is asked whether it is there."""
    return any(_like(wanted, each) for each in values or ([""] if wanted else []))


def _like(wanted: Object, text: str, fold: bool = False) -> bool:
    """V3, V4; nothing said: whatever there is."""
    how: Callable[[str], bool]
    ((kind, value),) = wanted.items() or [("regex", ".*")]
    if kind == "regex":
        return re.fullmatch(value, text) is not None
    if fold:
        text, value = text.lower(), value.lower()
    how = text.startswith if kind == "prefix" else text.__eq__
    return how(value)

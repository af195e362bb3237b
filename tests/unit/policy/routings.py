"""Routes and what asks for them as Python has them: a form's arrays, laid out as relay/routing/plan.pyx does, and the
decision run over them."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from proxy.ipc.routing import ConditionForm, RoutingForm
from proxy.policy import shapes
from proxy.policy.shapes import ABOUT_PATH, MOST_RANGES, Bucket, Condition, Line, Match, Presented, Routing, Text, Walk
from proxy.relay.routing.index import beginning, indexed
from tests.unit.policy.interpreted import interpreted

matching: ModuleType = interpreted("matching")

PARTS = {
    **{"path": shapes.ABOUT_PATH, "method": shapes.ABOUT_METHOD, "authority": shapes.ABOUT_AUTHORITY},
    **{"scheme": shapes.ABOUT_SCHEME, "namespace": shapes.ABOUT_NAMESPACE, "query": shapes.ABOUT_QUERY},
    **{"header": shapes.ABOUT_HEADER, "claim": shapes.ABOUT_CLAIM},
}
OPS = {
    **{"is": shapes.COMPARE_IS, "starts": shapes.COMPARE_STARTS, "segments": shapes.COMPARE_SEGMENTS},
    **{"like": shapes.COMPARE_LIKE, "is_there": shapes.COMPARE_IS_THERE},
}
LATE = ("query", "header")


@dataclass
class Request:
    """One that asks; `identity` is its client's."""

    path: str = "/"
    method: str = "GET"
    host: str = "cart"
    headers: Sequence[tuple[str, str]] = ()
    identity: str = ""

    def head(self) -> bytes:
        """As it comes."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {self.host}", *map(": ".join, self.headers)]
        return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()

    def namespace(self) -> str | None:
        """Its client's."""
        parts = self.identity.removeprefix("spiffe://").split("/")
        return parts[2] if len(parts) == 5 else None


def interpreted_rule(form: RoutingForm, request: Request) -> str | None:
    """The name of the rule that the request is for, by the decision as Python runs it; there are no regular
    expressions."""
    names = list(dict.fromkeys(c["name"] for m in form["matches"] for c in m["conditions"] if c["part"] == "header"))
    matches, conditions = [], list[Condition]()
    for match in form["matches"]:
        found = sorted(match["conditions"], key=lambda each: each["part"] in LATE)
        early = sum(each["part"] not in LATE for each in found)
        matches.append(Match(match["rule"], len(conditions), len(found), early))
        conditions += [_condition(each, names) for each in found]
    index = indexed([_beginning(conditions[each.first : each.first + each.early]) for each in matches])
    buckets = [Bucket(*each) for each in index.buckets]
    routing = Routing(matches, len(matches), conditions, buckets, len(buckets) - 1, index.members, index.anywhere)
    asked, walk = _presented(request, names), Walk(0, [0] * MOST_RANGES, [0] * MOST_RANGES)
    matching.begin(routing, asked, walk)
    at = matching.candidate(routing, asked, walk)
    while at >= 0 and not matching.rest_holds(routing, asked, at):
        at = matching.candidate(routing, asked, walk)
    return None if at < 0 else form["rules"][matches[at].rule]["name"]


def _beginning(conditions: Sequence[Condition]) -> bytes | None:
    named = {number: op for op, number in OPS.items()}
    known = (
        beginning(named[each.compare], each.text)
        for each in conditions
        if each.about == ABOUT_PATH and not each.negated and not each.fold
    )
    return next((each for each in known if each is not None), None)


def _condition(form: ConditionForm, names: list[str]) -> Condition:
    header = names.index(form["name"]) if form["part"] == "header" else 0
    text, name = form["text"].encode(), form["name"].encode()
    if form["op"] == "segments":
        text = text.rstrip(b"/")
    text = text.lower() if form["fold"] else text
    kind = (PARTS[form["part"]], OPS[form["op"]], form["negated"], form["fold"])
    return Condition(*kind, header, name, len(name), text, len(text))


def _presented(request: Request, names: list[str]) -> Presented:
    path, _, query = request.path.partition("?")
    headers = [("host", request.host), *request.headers]
    lines = [Line(names.index(name), value.encode(), len(value)) for name, value in headers if name in names]
    texts = [path, request.method, request.host, "http", request.namespace(), query]
    found = [Text((each or "").encode(), -1 if each is None else len(each)) for each in texts]
    return Presented(found, lines, len(lines), [], 0)

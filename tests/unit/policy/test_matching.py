"""Which rule a request is for: the rows of 1.3 of the reference, and the compiled decision against the interpreted one,
and both against the words, taken literally."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controller.route_form import routing_form
from proxy.ipc.routing import RoutingForm
from proxy.mesh.traffic.routing import Condition, Op, Part, RouteMatch, RouteRule, Routing
from proxy.relay.routing.plan import Plan
from tests.instruments.inspect_routing import rule_for
from tests.unit.policy.routings import Request, interpreted_rule

LETTERS = "abcdefgh"


def form_of(*matches: Sequence[Condition]) -> RoutingForm:
    """A rule for each of them, called a, b, c."""
    routes = tuple(RouteMatch(at, tuple(conditions)) for at, conditions in enumerate(matches))
    return routing_form(Routing(routes, tuple(RouteRule(LETTERS[at]) for at in range(len(matches)))))


def rule(request: Request, *matches: Sequence[Condition]) -> str:
    """Whose the request is, by the compiled decision; "" is nobody's."""
    return rule_for(Plan(form_of(*matches)), request.head(), request.identity.encode() or None) or ""


def path(op: Op, text: str, fold: bool = False, negated: bool = False) -> Condition:
    return Condition(Part.PATH, op, text, fold=fold, negated=negated)


def header(name: str, text: str = "", op: Op = Op.IS, negated: bool = False) -> Condition:
    return Condition(Part.HEADER, op, text, name, negated)


def query(name: str, text: str = "", op: Op = Op.IS, negated: bool = False) -> Condition:
    return Condition(Part.QUERY, op, text, name, negated)


PATHS = {
    "M5-exact": ((path(Op.IS, "/one"),), {"/one": 1, "/one?x": 1, "/one/": 0, "/One": 0, "/one/x": 0, "/on": 0}),
    "M6-segments": (
        (path(Op.SEGMENTS, "/v2"),),
        {"/v2": 1, "/v2/": 1, "/v2/x": 1, "/v2?x": 1, "/v2//x": 1}
        | {"/v2example": 0, "/V2": 0, "/v2%2fx": 0, "/foo/v2": 0, "/v": 0},
    ),
    "M6-its-slash-is-ignored": ((path(Op.SEGMENTS, "/match/"),), {"/match": 1, "/match/": 1, "/matchx": 0}),
    "M1-no-match-is-prefix-/": ((path(Op.SEGMENTS, "/"),), {"/": 1, "/x": 1, "/?y": 1}),
    "M1-no-condition": ((), {"/": 1, "/x/y?z": 1}),
    "M8-anchored": ((path(Op.LIKE, "/re/[a-z]+"),), {"/re/abc": 1, "/re/abc1": 0, "/x/re/abc": 0, "/re/abc?1": 1}),
    "M8-alternatives": ((path(Op.LIKE, "/a|/b.*"),), {"/a": 1, "/bcd": 1, "/ab": 0}),
    "M8-begins-with-what-may-be-missing": ((path(Op.LIKE, "/ab?c*"),), {"/a": 1, "/abcc": 1, "/b": 0}),
    "M8-bad": ((path(Op.LIKE, "(a"),), {"/": 0, "(a": 0}),
    "M8-bad-negated": ((path(Op.LIKE, "(a", negated=True),), {"/": 0}),
    "M8-negated": ((path(Op.LIKE, "/a.*", negated=True),), {"/a": 0, "/abc": 0, "/b": 1}),
    "M8-fold": ((path(Op.LIKE, "/a.*", fold=True),), {"/A": 1, "/abc": 1, "/b": 0}),
    "V3-string-prefix": ((path(Op.STARTS, "/v2"),), {"/v2": 1, "/v2example": 1, "/v": 0}),
    "V3-ignoreUriCase": ((path(Op.STARTS, "/Ab", fold=True),), {"/aBc": 1, "/AB": 1, "/b": 0}),
    "V3-ignoreUriCase-exact": ((path(Op.IS, "/Ab", fold=True),), {"/aB": 1, "/ABC": 0}),
}


@pytest.mark.parametrize(
    ("conditions", "asked", "fits"),
    [
        pytest.param(conditions, asked, bool(fits), id=f"{row}-{asked}")
        for row, (conditions, paths) in PATHS.items()
        for asked, fits in paths.items()
        if asked.startswith("/")
    ],
)
def test_paths(conditions: Sequence[Condition], asked: str, fits: bool) -> None:
    assert rule(Request(asked), conditions) == ("a" if fits else "")


QUERIES = {
    "M12-first-value": ((query("animal", "cat"),), {"animal=cat&animal=whale": 1, "animal=whale&animal=cat": 0}),
    "M12-no-decoding": ((query("animal", "whale"),), {"animal=wh%61le": 0, "x=1&animal=whale": 1, "animal=whale1": 0}),
    "M12-name-case": ((query("animal", "cat"),), {"Animal=cat": 0, "animals=cat": 0, "anima=cat": 0, "": 0}),
    "M12-present-without-value": ((query("e", ""),), {"x&e": 1, "e=": 1, "e=1": 0, "ee": 0}),
    "M13-present": ((query("e", op=Op.IS_THERE),), {"e": 1, "e=": 1, "e=1": 1, "x": 0, "xe": 0}),
    "M12-regex": ((query("n", "[0-9]+", Op.LIKE),), {"n=12": 1, "n=1a": 0, "n": 0, "": 0, "n=1&m=2": 1}),
    "V5-without": ((query("n", "1", negated=True),), {"n=1": 0, "n=2": 1, "": 1}),
    "V5-without-regex": ((query("n", "1*", Op.LIKE, negated=True),), {"n=11": 0, "n=2": 1, "": 0}),
}


@pytest.mark.parametrize(
    ("conditions", "asked", "fits"),
    [
        pytest.param(conditions, asked, bool(fits), id=f"{row}-{asked}")
        for row, (conditions, asked_of) in QUERIES.items()
        for asked, fits in asked_of.items()
    ],
)
def test_queries(conditions: Sequence[Condition], asked: str, fits: bool) -> None:
    assert rule(Request("/?" + asked), conditions) == ("a" if fits else "")


HEADERS: dict[str, tuple[tuple[Condition, ...], dict[tuple[str, ...], int]]] = {
    "M10-name-without-case": ((header("x-a", "v"),), {("X-A:v",): 1, ("x-a:V",): 0, ("x-b:v",): 0, (): 0}),
    "M10-any-token": ((header("x_a.b", "v"),), {("X_a.B:v",): 1, ("x-a.b:v",): 0}),
    "M11-any-line": ((header("x-a", "two"),), {("x-a:one", "x-a:two"): 1, ("x-a:two,one",): 0}),
    "M11-lines-are-not-joined": ((header("x-a", "v1,v2"),), {("x-a:v1", "x-a:v2"): 0, ("x-a:v1,v2",): 1}),
    "M11-regex": ((header("x-a", "t.o", Op.LIKE),), {("x-a:one", "x-a:two"): 1, ("x-a:twoo",): 0, (): 0}),
    "V4-prefix": ((header("x-a", "t", Op.STARTS),), {("x-a:two",): 1, ("x-a:",): 0}),
    "V4-present": ((header("x-a", op=Op.IS_THERE),), {("x-a:",): 1, (): 0}),
    "V5-missing-counts-as-empty": ((header("x-a", "", negated=True),), {(): 0, ("x-a:1",): 1}),
    "V5-without": ((header("x-a", "1", negated=True),), {(): 1, ("x-a:1",): 0, ("x-a:2", "x-a:1"): 0}),
    "V5-without-present": ((header("x-a", op=Op.IS_THERE, negated=True),), {(): 1, ("x-a:",): 0}),
    "V5-without-regex": ((header("x-a", "1+", Op.LIKE, True),), {(): 1, ("x-a:2", "x-a:11"): 0, ("x-a:2",): 1}),
    "M1-all-of-them": ((header("x-a", "1"), header("x-b", "2")), {("x-a:1", "x-b:2"): 1, ("x-a:1",): 0}),
}


@pytest.mark.parametrize(
    ("conditions", "lines", "fits"),
    [
        pytest.param(conditions, lines, bool(fits), id=f"{row}-{'+'.join(lines)}")
        for row, (conditions, asked_of) in HEADERS.items()
        for lines, fits in asked_of.items()
    ],
)
def test_headers(conditions: Sequence[Condition], lines: Sequence[str], fits: bool) -> None:
    headers = [(name, value) for name, _, value in (line.partition(":") for line in lines)]
    assert rule(Request(headers=headers), conditions) == ("a" if fits else "")


def test_M9_methods_are_exact() -> None:
    get = (Condition(Part.METHOD, Op.IS, "GET"),)
    assert [rule(Request(method=method), get) for method in ("GET", "HEAD", "get")] == ["a", "", ""]


def test_V4_authority_and_scheme() -> None:
    there, scheme = Condition(Part.AUTHORITY, Op.IS, "a.com:80"), Condition(Part.SCHEME, Op.IS, "http")
    assert rule(Request(host="a.com:80"), (there, scheme)) == "a"
    assert rule(Request(host="a.com"), (there, scheme)) == ""
    assert rule(Request(), (Condition(Part.SCHEME, Op.IS, "https"),)) == ""


def test_V7_the_namespace_is_the_client_s() -> None:
    of = (Condition(Part.NAMESPACE, Op.IS, "shop"),)
    asked = ("spiffe://td/ns/shop/sa/x", "spiffe://td/ns/shops/sa/x", "spiffe://shop/ns/x/sa/shop", "spiffe://td/x", "")
    assert [rule(Request(identity=each), of) for each in asked] == ["a", "", "", "", ""]


def claim(text: str, op: Op = Op.IS, negated: bool = False) -> Condition:
    return Condition(Part.CLAIM, op, text, "[groups]", negated)


@pytest.mark.parametrize(
    ("condition", "groups", "fits"),
    [
        (claim("admin"), ["user", "admin"], True),
        (claim("admin"), ["administrator"], False),
        (claim("admin"), [], False),
        (claim("adm.*", Op.LIKE), ["user", "admin"], True),
        (claim("adm.*", Op.LIKE), [], False),
        (claim("admin", negated=True), ["user"], True),
        (claim("admin", negated=True), ["user", "admin"], False),
        (claim("admin", negated=True), [], True),
        (claim("a*", Op.LIKE, negated=True), [], False),
    ],
)
def test_V8_claims_of_a_token(condition: Condition, groups: Sequence[str], fits: bool) -> None:
    plan = Plan(form_of((condition,)), ["[iss]"])
    claims = [(0, b"admin"), *((1, each.encode()) for each in groups)]
    assert rule_for(plan, Request().head(), claims=claims) == ("a" if fits else None)


def test_J13_what_a_token_is_told_in_is_a_header_like_others() -> None:
    plan = Plan(form_of((header("x-user", "ann"),)))
    assert rule_for(plan, Request().head(), added=[(b"x-user", b"ann")]) == "a"
    assert rule_for(plan, Request(headers=[("connection", "x-user"), ("x-user", "ann")]).head()) is None


def test_M2_M3_the_first_match_that_fits_counts_and_a_rule_may_have_several() -> None:
    exact, v2, one = path(Op.IS, "/v2/x"), path(Op.SEGMENTS, "/v2"), header("version", "one")
    everything = (exact,), (v2, one), (v2,), (one,)
    asked = {"/v2/x": "a", "/v2/y": "c", "/y": ""}
    assert {each: rule(Request(each), *everything) for each in asked} == asked
    lined = {"/v2/x": "a", "/v2/y": "b", "/y": "d"}
    assert {each: rule(Request(each, headers=[("version", "one")]), *everything) for each in lined} == lined
    form = form_of((exact,), (one,))
    form["matches"][1]["rule"] = 0
    assert rule_for(Plan(form), Request("/y", headers=[("version", "one")]).head()) == "a"


def test_a_path_that_is_too_long_is_like_nothing() -> None:
    assert rule(Request("/" + "a" * 9000), (path(Op.LIKE, "/a*"),)) == ""
    assert rule(Request("/" + "a" * 8000), (path(Op.LIKE, "/a*"),)) == "a"


# -- compiled, interpreted, and taken literally -----------------------------------------------------------------------

TEXTS = st.sampled_from(("", "/", "/v2", "/v2/", "/V2", "GET", "one", "two", "http", "shop", "cart"))
CONDITIONS = st.builds(
    Condition,
    part=st.sampled_from([each for each in Part if each is not Part.CLAIM]),
    op=st.sampled_from((Op.IS, Op.STARTS, Op.SEGMENTS, Op.IS_THERE)),
    text=TEXTS,
    name=st.sampled_from(("x-a", "x-b", "e")),
    negated=st.booleans(),
    fold=st.booleans(),
)
REQUESTS = st.builds(
    Request,
    path=st.sampled_from(("/", "/v2", "/v2/x", "/V2", "/v2x", "/?e", "/?e=one&e=two", "/v2?x-a=two", "/?", "*")),
    method=st.sampled_from(("GET", "OPTIONS")),
    host=st.sampled_from(("cart", "one")),
    headers=st.lists(
        st.tuples(st.sampled_from(("x-a", "x-b")), st.sampled_from(("", "one", "two", "/v2/x"))), max_size=3
    ),
    identity=st.sampled_from(("", "spiffe://td/ns/shop/sa/x")),
).filter(lambda each: each.path != "*" or each.method == "OPTIONS")


@given(st.lists(st.lists(CONDITIONS, max_size=3), max_size=4), REQUESTS)
def test_compiled_interpreted_and_in_words(matches: list[list[Condition]], request: Request) -> None:
    found = rule(request, *matches)
    assert found == (interpreted_rule(form_of(*matches), request) or "")
    fit = (LETTERS[at] for at, each in enumerate(matches) if all(holds(condition, request) for condition in each))
    assert found == next(fit, "")


def holds(condition: Condition, request: Request) -> bool:
    found = values(condition, request)
    if condition.negated and not found and condition.op is not Op.IS_THERE:
        found = [""]
    return any(compares(condition, each) for each in found) is not condition.negated


def values(condition: Condition, request: Request) -> list[str]:
    bare, _, asked = request.path.partition("?")
    if condition.part is Part.HEADER:
        return [value for name, value in request.headers if name == condition.name]
    if condition.part is Part.QUERY:
        pairs = [each.partition("=") for each in asked.split("&")]
        return [value for name, _, value in pairs if name == condition.name][:1]
    if condition.part is Part.NAMESPACE:
        return [name] if (name := request.namespace()) else []
    whole = {Part.PATH: bare, Part.METHOD: request.method, Part.AUTHORITY: request.host, Part.SCHEME: "http"}
    return [whole[condition.part]]


def compares(condition: Condition, value: str) -> bool:
    text = condition.text
    if condition.fold:
        text, value = text.lower(), value.lower()
    if condition.op is Op.IS:
        return value == text
    if condition.op is Op.STARTS:
        return value.startswith(text)
    if condition.op is Op.SEGMENTS:
        text = text.rstrip("/")
        return value == text or value.startswith(f"{text}/")
    return True


# -- of many matches only some are looked at --------------------------------------------------------------------------

STEPS = st.integers(0, 20).map(lambda count: "/a" * count)
BELOW = st.builds(
    path,
    st.sampled_from((Op.IS, Op.SEGMENTS, Op.STARTS, Op.IS_THERE)),
    st.builds(str.__add__, STEPS, st.sampled_from(("/", "/a", "/ab", "/A"))),
    st.booleans(),
    st.booleans(),
)
WANTED = st.sampled_from(((), (header("x-a", "one"),), (header("x-a", "two"),)))
MANY = st.lists(st.builds(lambda first, rest: [*first, *rest], st.lists(BELOW, max_size=2), WANTED), min_size=9)
ASKED = st.builds(str.__add__, STEPS, st.sampled_from(("/", "/a", "/ab", "/a/", "/b?c", "")))


@given(MANY, ASKED.filter(bool))
def test_M2_the_first_of_many_that_fits_counts(matches: list[list[Condition]], asked: str) -> None:
    request = Request(asked, headers=[("x-a", "one")])
    routes = tuple(RouteMatch(at, tuple(conditions)) for at, conditions in enumerate(matches))
    form = routing_form(Routing(routes, tuple(RouteRule(str(at)) for at in range(len(matches)))))
    fit = (str(at) for at, each in enumerate(matches) if all(holds(condition, request) for condition in each))
    assert rule_for(Plan(form), request.head()) == interpreted_rule(form, request) == next(fit, None)


@pytest.mark.parametrize("depth", [8, 16, 17, 40])
def test_M2_many_that_are_below_each_other(depth: int) -> None:
    """More than are gone through side by side."""
    matches = [[path(Op.SEGMENTS, "/a" * count), header("x-a", str(count))] for count in range(depth, 0, -1)]
    routes = tuple(RouteMatch(at, tuple(conditions)) for at, conditions in enumerate(matches))
    form = routing_form(Routing(routes, tuple(RouteRule(str(len(each[0].text) // 2)) for each in matches)))
    for count in range(1, depth + 1):
        request = Request("/a" * depth + "/x", headers=[("x-a", str(count))])
        assert rule_for(Plan(form), request.head()) == interpreted_rule(form, request) == str(count)

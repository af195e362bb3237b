"""Ways around access rules, as people have found them around other proxies: what is asked of which Service.

A case says nothing of what should become of it: that is for the oracle (oracle.py) to say, by what an endpoint gets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from tests.hbone.stream import Headers


@dataclass(frozen=True)
class Case:
    """One request. Empty `host`: that of the Service. `lines` are fields as they are sent."""

    service: str
    target: str = "/"
    method: str = "GET"
    host: str = ""
    lines: tuple[str, ...] = ()


def _when(key: str, **said: list[str]) -> dict[str, Any]:
    return {"when": [{"key": key, **said}]}


def _to(**operation: list[str]) -> dict[str, Any]:
    return {"to": [{"operation": operation}]}


POLICIES: dict[str, dict[str, Any]] = {
    "denied": {"action": "DENY", "rules": [_to(paths=["/admin*"])]},
    "public": {"rules": [_to(paths=["/public", "/public/*"])]},
    "one": {"rules": [_to(paths=["/one/{*}"])]},
    "hosts": {"action": "DENY", "rules": [_to(hosts=["secret.example*"])]},
    "onlyhost": {"rules": [_to(hosts=["good.example"])]},
    "role": {"action": "DENY", "rules": [_when("request.headers[x-role]", values=["evil"])]},
    "under": {"action": "DENY", "rules": [_when("request.headers[x_role]", values=["evil"])]},
    "wanted": {"rules": [_when("request.headers[x-role]", values=["good"])]},
    "hosted": {"action": "DENY", "rules": [_when("request.headers[host]", values=["secret.example"])]},
    "methods": {"action": "DENY", "rules": [_to(methods=["POST", "DELETE"])]},
    "get": {"rules": [_to(methods=["GET"])]},
    "any": {"action": "DENY", "rules": [_to(paths=["/admin*"])]},
    "data": {"action": "DENY", "rules": [_to(paths=["/admin*"])]},
}
"""The spec of the policy on each Service. `any` is a port of no declared protocol, `data` one of TCP."""
BY_HOST = ("hosts", "onlyhost", "hosted")
"""They are asked through tunnels alone: elsewhere the Host chooses the Service."""

BEFORE = (
    *(
        "/",
        "//",
        "///",
        "/./",
        "/x/../",
        "/x/..;/",
        "/;/",
        "/;x=1/",
        "/.;x/",
        "/..;x/",
        "\\",
        "/\\",
        "/x\\..\\",
        "/.\\",
    ),
    *("/%2f", "/x%2f..%2f", "/x/..%2f", "/%2F%2F", "/%5c", "/x%5c..%5c", "/x/..%5C", "/%2e/", "/%2E%2e/", "/x/%2e%2e/"),
    *(
        "/x/.%2e/",
        "/x/%2e./",
        "/.%2f",
        "/..%00/",
        "/%00/",
        "/%c0%af",
        "/x/%c0%ae%c0%ae/",
        "/%e0%80%af",
        "/%f0%80%80%af",
    ),
    *("/%C1%9c", "/%252f", "/%252e%252e/", "/x/%252e%252e%252f", "/%u002f", "/%%32%66", "/%%2f", "/%2%66", "/%%%32f"),
    *("/x//..//", "/x/y/../../", "/../../", "/x/%3b/../", "/%20/../", "/x?/../", "/ /../", "/%0d%0a/../", "/\t/../"),
)
WORDS = (
    *(
        "admin",
        "%61dmin",
        "%41dmin",
        "adm%69n",
        "%61%64%6d%69%6e",
        "ADMIN",
        "admin/",
        "admin//",
        "admin;x=1",
        "admin%3b",
    ),
    *("admin?x", "admin%3fx", "admin%23", "admin#x", "admin%00", "admin%20", "admin%2f", "admin/..", "admin/../admin"),
    *("a%%64min", "%2561dmin", "%25%36%31dmin", "adm\xefn", "adm%c3%adn", "admin\\", "admin%5c", "x/../admin/secret"),
)
ABSOLUTE = (
    "http://{0}",
    "HTTP://{0}",
    "https://{0}",
    "http://{0}:80",
    "http://user@{0}",
    "http://{0}.",
    "//{0}",
    "http://",
)
PUBLIC = (
    *("/public", "/public/", "/public/x", "/publicx", "/public;x", "/PUBLIC", "/public?x", "/public#x", "/public%3f"),
    *("/public/../admin", "/public/..;/admin", "/public/%2e%2e/admin", "/public%2f..%2fadmin", "/public/..%2fadmin"),
    *(
        "/public#/../admin",
        "/public?/../admin",
        "/public%23/../admin",
        "/public%3f/../admin",
        "/public/%2e%2e%3b/admin",
    ),
    *(
        "/public/..\\admin",
        "/public/..%5cadmin",
        "/public/%c0%ae%c0%ae/admin",
        "/public/.%00./admin",
        "/public//../admin",
    ),
    *("/public/%252e%252e/admin", "/public/./../admin", "/public/...//admin", "/public/%%32e/../admin", "/%70ublic/x"),
)
HOSTS = (
    *(
        "secret.example",
        "SECRET.Example",
        "secret.example.",
        "secret.example:80",
        "secret.example:",
        "secret.example:x",
    ),
    *("a@secret.example", "secret.example@a", "secret.example%2e", "%73ecret.example", "secret.example,good.example"),
    *(
        "secret.example good.example",
        "secret.example/",
        "good.example",
        "GOOD.example",
        "good.example.",
        "good.example:1",
    ),
    *(
        "good.example:",
        "good.example@secret.example",
        "good.example#@secret.example",
        "\tgood.example",
        "good.example\\",
        "",
    ),
)
ROLES: tuple[tuple[str, ...], ...] = (
    *(
        ("x-role: evil",),
        ("X-ROLE: evil",),
        ("x-Role:evil",),
        ("x-role:\tevil\t",),
        ("x-role: evil ",),
        ("x-role : evil",),
    ),
    *(("x-role: good", "x-role: evil"), ("x-role: evil", "x-role: good"), ("x-role: good, evil",), ("x-role: EVIL",)),
    *(("x-role: good\r\n evil",), ("x-role:\r\n evil",), ("x-role: good\revil: 1",), ("x-role: good\nx-role: evil",)),
    *(
        (" x-role: evil",),
        ("x-role\t: evil",),
        ("x_role: evil",),
        ("X_Role: evil",),
        ("x-role: e\0vil",),
        ("x-role;: evil",),
    ),
    *(("connection: x-role", "x-role: evil"), ("connection: close, X-Role", "x-role: good"), ("x-role: evil\x0b",)),
    *(("x-role: good",), ("x-role:",), ("x.role: evil",), ("x-role-: evil",), ("x-role: good", "x_role: evil")),
    *(("transfer-encoding: chunked", "content-length: 5"), ("x-http-method-override: POST",), ("te: trailers",)),
)
METHODS = (
    "POST",
    "post",
    "PoSt",
    "DELETE",
    "GET",
    "get",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PRI",
    "CONNECT",
    "P\tOST",
    "",
)
H2C: tuple[tuple[str, ...], ...] = (
    ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAARAAAAAAAIAAAAA"),
    ("connection: upgrade", "upgrade: H2C"),
    ("connection: upgrade", "upgrade: websocket, h2c"),
    ("connection: upgrade", "upgrade: websocket", "upgrade: h2c"),
    ("connection: upgrade", "upgrade: h2c", "upgrade: websocket"),
)


def cases() -> Iterator[Case]:
    """All that can be said in HTTP/1.1; HTTP/2 says what of it can be said there."""
    for before, word in product(BEFORE, WORDS):
        yield Case("denied", before + word)
    for form, path in product(ABSOLUTE, ("/admin", "//admin", "?/admin", "/x/../admin", "\\admin", "")):
        yield Case("denied", form.format("denied.httpbin:8000") + path)
    yield from (Case("public", target) for target in PUBLIC)
    yield from (
        Case("one", "/one/" + rest) for rest in ("a", "", "a/b", "a%2fb", "%2e%2e", "..", "a%5cb", "a/../b/c", "//a")
    )
    for service, host in product(BY_HOST, HOSTS):
        yield Case(service, host=host)
        yield Case(service, f"http://{host}/", host="good.example")
        yield Case(service, "http://good.example/", host=host)
    yield from (Case("hosted", host="good.example", lines=(f"host: {host}",)) for host in HOSTS[:3])
    for service, lines in product(("role", "under", "wanted"), ROLES):
        yield Case(service, lines=lines)
    yield from (Case(service, method=method) for service in ("methods", "get") for method in METHODS)
    yield from (Case(service, lines=lines) for service in ("get", "denied") for lines in H2C)
    for before, word in product(("", "\r\n", " ", "\n", "\0"), ("/admin", "/x/../admin", "/%61dmin", "/fine")):
        for method in ("GET", "get", "P\x01", "G" * 40, "HELO"):
            yield Case("any", word, before + method)
            yield Case("data", word, before + method)


def _fields(path: str, *more: tuple[str, str], method: str = "GET", authority: str = "denied.httpbin") -> Headers:
    named = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    return [each for each in named if each[1]] + list(more)


def streams() -> Iterator[tuple[str, Headers]]:
    """What can only be said in HTTP/2: the Service, and a head."""
    lines = "GET /admin HTTP/1.1\r\nhost: denied.httpbin\r\n\r\n"
    for path in (
        "admin",
        "",
        "*",
        "http://denied.httpbin/admin",
        f"/ HTTP/1.1\r\nx: y\r\n\r\n{lines}",
        "/\0admin",
        "/ admin",
    ):
        yield "denied", _fields(path)
        yield "denied", _fields(path, method="OPTIONS")
    yield "denied", [*_fields("/"), (":path", "/admin")]
    yield "denied", [*_fields("/"), ("x", "y"), (":path", "/admin")]
    yield "denied", _fields("/", method=f"GET /admin HTTP/1.1\r\nhost: a\r\n\r\n{lines}")
    yield "denied", _fields("/", authority=f"denied.httpbin\r\n\r\n{lines}")
    yield "denied", _fields("/", ("x", f"y\r\n\r\n{lines}"))
    yield "denied", _fields("/", (f"x: y\r\n\r\n{lines}", "z"))
    yield "denied", _fields("/admin", method="CONNECT")
    yield "denied", [*_fields("/admin", method="CONNECT"), (":protocol", "websocket")]
    yield "denied", [(":method", "CONNECT"), (":authority", "denied.httpbin:8000")]
    for host in ("secret.example", "good.example"):
        for authority in ("secret.example", "good.example", ""):
            yield "hosted", _fields("/", ("host", host), authority=authority)
            yield "hosts", _fields("/", ("host", host), authority=authority)
            yield "onlyhost", _fields("/", ("host", host), ("host", "secret.example"), authority=authority)
    for name, value in (
        ("X-Role", "evil"),
        ("x-role", "evil\r\n"),
        ("x-role ", "evil"),
        (" x-role", "evil"),
        ("x-role", " evil"),
    ):
        yield "role", _fields("/", (name, value), authority="role.httpbin")
    yield "wanted", _fields("/", ("connection", "x-role"), ("x-role", "good"), authority="wanted.httpbin")

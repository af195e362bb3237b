"""The admin pages about routes and policies, over files, and how waypointctl puts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.controller.configuration import Configuration
from proxy.controller.keys import KeySets
from proxy.controller.route_pages import RoutePages
from proxy.ctl.explain_route import text
from proxy.mesh.traffic.tokens import KeySource
from tests.issuer_rig import ISSUER, Issuer
from tests.unit.mesh.mesh_rig import (
    Object,
    endpoint_slice,
    gateway,
    hbone,
    listener,
    member,
    namespace,
    pod,
    rule,
    service,
    thing,
    virtual,
)

SUBSETS = {"subsets": [{"name": each, "labels": {"version": each}} for each in ("v1", "v2")]}
OLD: Object = {"destination": {"host": "cart", "subset": "v1"}}
NEW: Object = {"destination": {"host": "cart", "subset": "v2"}, "weight": 3}
RULES = [
    {"name": "admin", "match": [{"uri": {"prefix": "/admin"}}], "directResponse": {"status": 404}},
    {"name": "old", "match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/v2/new"}},
    {
        "name": "new",
        "match": [{"uri": {"prefix": "/v2"}, "headers": {"version": {"exact": "two"}}}],
        "rewrite": {"uri": "/n"},
        "route": [NEW, OLD | {"weight": 1, "headers": {"request": {"set": {"x-old": "yes"}}}}],
        "timeout": "2s",
        "fault": {"delay": {"fixedDelay": "1s", "percentage": {"value": 10}}},
        "mirror": {"host": "cart"},
    },
    {"match": [{"method": {"exact": "GET"}}], "route": [OLD]},
    {"match": [{"method": {"exact": "PUT"}}], "route": [{"destination": {"host": "gone"}}]},
]
TILL, OTHER = (f"spiffe://cluster.local/ns/shop/sa/{each}" for each in ("till", "other"))
ALLOW = {
    "targetRefs": [{"kind": "Service", "name": "cart"}],
    "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/till"]}}]}],
}
DENY = {
    "targetRefs": [{"kind": "Service", "name": "cart"}],
    "action": "DENY",
    "rules": [{"to": [{"operation": {"paths": ["/secret*"]}}]}],
}
HOSTS = {
    "parentRefs": [{"name": "wp"}],
    "hostnames": ["*.example.com"],
    "rules": [{"matches": [{"path": {"value": "/a"}}], "backendRefs": [{"name": "cart", "port": 80}]}],
}
ISSUES = Issuer()
JWT = {"issuer": ISSUER, "jwks": ISSUES.jwks, "audiences": ["vault"]}
VAULT = [{"kind": "Service", "name": "vault"}]
USERS = {"when": [{"key": "request.auth.claims[role]", "values": ["user"]}]}
NEAR = {"from": [{"source": {"ipBlocks": ["10.0.0.0/24"]}}]}
LIMIT = {"waypointd.io/rate-limit": "5/minute key=header:x-user"}
TRY = {"istio.io/dry-run": "true"}
SECURITY = "security.istio.io/v1"
OBJECTS = (
    namespace(),
    gateway(hbone(), listener(port=80)),
    service(spec={"clusterIP": "10.96.0.7"}),
    service("till"),
    endpoint_slice(member("10.0.0.1", "cart-1"), member("10.0.0.2", "cart-2")),
    pod("cart-1", "10.0.0.1", labels={"version": "v1"}),
    pod("cart-2", "10.0.0.2", labels={"version": "v2"}),
    rule(spec=SUBSETS),
    virtual({"hosts": ["cart"], "http": RULES}, "cart"),
    virtual({"hosts": ["nobody"], "http": RULES}, "idle"),
    thing("HTTPRoute", "gateway.networking.k8s.io/v1", "hosts", spec=HOSTS),
    thing("AuthorizationPolicy", SECURITY, "tills", spec=ALLOW),
    thing("AuthorizationPolicy", SECURITY, "secrets", spec=DENY),
    thing("AuthorizationPolicy", SECURITY, "audit", spec=DENY | {"action": "AUDIT"}),
    thing("AuthorizationPolicy", SECURITY, "sidecars", spec={"rules": [{}]}),
    service("vault", annotations=LIMIT),
    thing("RequestAuthentication", SECURITY, "accounts", spec={"targetRefs": VAULT, "jwtRules": [JWT]}),
    thing("AuthorizationPolicy", SECURITY, "users", spec={"targetRefs": VAULT, "rules": [USERS, NEAR]}),
    thing("AuthorizationPolicy", SECURITY, "trial", annotations=TRY, spec={"targetRefs": VAULT, "rules": [NEAR]}),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> RoutePages:
    directory: Path = tmp_path_factory.mktemp("manifests")
    for index, each in enumerate(OBJECTS):
        (directory / f"{index}.yaml").write_text(yaml.safe_dump(each))
    configuration = Configuration([str(directory)], None)
    assert configuration.refresh(False), configuration.faults
    keys = KeySets()
    keys.want({KeySource(jwks=ISSUES.jwks): 0})
    return RoutePages(configuration, keys)


def ask(pages: RoutePages, page: str, **asked: str) -> Any:
    _, kind, body = pages.queries[page](asked)
    return json.loads(body) if "json" in kind else body.decode()


def explained(pages: RoutePages, method: str, url: str, *headers: str, client: str = TILL) -> str:
    lines = json.dumps([each.split(":", 1) for each in headers])
    found = ask(pages, "/route", method=method, url=url, headers=lines, **{"from": client})
    return text(found) if isinstance(found, dict) else str(found)


def test_routes_are_listed_with_whose_requests_they_lead(pages: RoutePages) -> None:
    found = ask(pages, "/routes")
    assert found["namespace"] == "shop"
    assert [(each["name"], each["for"], each["clusters"]) for each in found["routes"]] == [
        ("cart", ["cart.shop.svc.cluster.local"], ["shop/cart:80"]),
        ("hosts", ["Gateway/wp"], ["shop/wp:80/*.example.com"]),
        ("idle", ["nobody.shop.svc.cluster.local"], []),
    ]


def test_policies_are_listed_with_whether_they_are_in_force(pages: RoutePages) -> None:
    found = {each["name"]: each for each in ask(pages, "/policies")["policies"]}
    assert {name: (each["action"], each["in_force"]) for name, each in found.items()} == {
        "accounts": ("", "yes"),
        "audit": ("AUDIT", "told"),
        "secrets": ("DENY", "yes"),
        "sidecars": ("ALLOW", "no"),
        "tills": ("ALLOW", "yes"),
        "trial": ("ALLOW", "told"),
        "users": ("ALLOW", "yes"),
    }
    assert found["tills"]["for"] == ["Service/cart"] and found["sidecars"]["for"] == []


def test_a_request_is_explained(pages: RoutePages) -> None:
    assert explained(pages, "GET", "http://cart.shop:80/v2/items?x=1", "version:two").splitlines() == [
        "GET /v2/items?x=1, host cart.shop:80",
        f"  from     {TILL}",
        "  at       mesh (HBONE, port 15008), http (HTTP, port 80)",
        "  for      shop/cart:80",
        "  access   let in: ns[shop]-policy[tills]-rule[0] allows it",
        '           DENY ns[shop]-policy[secrets]-rule[0]: it needs: (path begins with "/secret")',
        "           ALLOW ns[shop]-policy[tills]-rule[0]: matches",
        "  route    VirtualService shop/cart rule new",
        '  not      VirtualService shop/cart rule admin: path begins with "/admin", and the request has "/v2/items"',
        '  not      VirtualService shop/cart rule old: path is "/old", and the request has "/v2/items"',
        '  because  path begins with "/v2" ("/v2/items"); header version is "two" ("two")',
        "  to       75 %: shop/cart:80/v2, 1 endpoint",
        '  to       25 %: shop/cart:80/v1, 1 endpoint; header x-old of the request is set to "yes"',
        "  does     10 % of the requests wait for 1s (fault injection)",
        "  does     the path becomes /n/items",
        "  does     a copy of 100 % of the requests goes to shop/cart:80",
        "  does     tried again 2 times at most, 2s in all",
    ]


@pytest.mark.parametrize(
    ("method", "url", "client", "said"),
    [
        ("GET", "http://cart/", TILL, "route VirtualService shop/cart rule 3"),
        ("GET", "http://10.96.0.7/", TILL, "for shop/cart:80"),
        ("POST", "http://cart.shop/x", TILL, "route 404: no match fits"),
        ("PUT", "http://cart.shop/", TILL, "to 503: there is no such backend"),
        ("GET", "http://cart.shop/admin/", TILL, "answer 404, 0 octets of body"),
        ("GET", "http://cart.shop/old?y", TILL, "answer 301, location http://cart.shop/v2/new?y"),
        (
            "GET",
            "http://cart.shop/",
            OTHER,
            "access 403: there are policies that allow, and none of their rules matches",
        ),
        ("GET", "http://cart.shop/", "", "from a client without an identity"),
        ("GET", "http://cart.shop/secrets", TILL, "access 403: ns[shop]-policy[secrets]-rule[0] denies it"),
        ("GET", "http://till.shop/", "", "route none: requests go to the Service itself"),
        ("GET", "http://till.shop/", "", "access let in: there is no policy"),
        ("GET", "http://www.example.com:81/a/b", "", "at http (HTTP, port 80)"),
        ("GET", "http://www.example.com/a/b", "", "route HTTPRoute shop/hosts rule 0"),
        ("GET", "http://www.example.com/b", "", "route 404: no match fits"),
        ("GET", "http://gone/", "", "nothing here answers to gone:80"),
        ("GET", "gone", "", "give a URL such as"),
    ],
)
def test_what_becomes_of_others(pages: RoutePages, method: str, url: str, client: str, said: str) -> None:
    assert said in " ".join(explained(pages, method, url, client=client).split())


def of_vault(pages: RoutePages, **asked: str) -> list[str]:
    """The lines about who gets in."""
    found = ask(pages, "/route", url="http://vault.shop/", **asked)
    if isinstance(found, str):
        return [found]
    lines = [" ".join(each.split()) for each in text(found).splitlines()]
    return lines[lines.index("for shop/vault:80") + 1 : lines.index("route none: requests go to the Service itself")]


def test_a_token_is_looked_at(pages: RoutePages) -> None:
    issued = ISSUES.token(aud="vault", role="user")
    keys = next(each for each in of_vault(pages, token=issued) if "keys:" in each).partition("(")[2].partition(")")[0]
    of = f"{ISSUER} ({keys})"
    near = "ALLOW ns[shop]-policy[users]-rule[1]: it needs: (source in 10.0.0.0/24)"
    assert of_vault(pages, token=issued) == [
        f"token of {ISSUER}/alice",
        f"{of}: it is good",
        "access let in: ns[shop]-policy[users]-rule[0] allows it",
        "ALLOW ns[shop]-policy[users]-rule[0]: matches",
        near,
        "dry run would get 403: there are policies that allow, and none of their rules matches",
        "limit 5/minute burst=5 key=header:x-user scope=replica",
    ]
    for token, refusal in (
        (ISSUES.token(aud="vault", exp=1), "401: Jwt is expired"),
        (ISSUES.token(aud="other"), "403: Audiences in Jwt are not allowed"),
        (ISSUES.token(aud="vault", iss="other"), "401: Jwt issuer is not configured"),
        (Issuer().token(aud="vault"), "401: Jwt verification fails"),
        ("x", "401: Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"),
        ('{"aud": 1}', "401: Jwt payload [aud] field is not a string or string list"),
    ):
        found = of_vault(pages, token=token)
        assert found[:2] == [f"token {refusal}", f"{of}: {refusal.partition(': ')[2]}"]
        assert found[2].startswith("access 403: there are policies")


def test_claims_alone_are_believed(pages: RoutePages) -> None:
    claims = json.dumps({"iss": ISSUER, "sub": "bob", "aud": ["vault"], "role": ["user", "x"]})
    assert f"token of {ISSUER}/bob" in of_vault(pages, token=claims)
    assert "access let in: ns[shop]-policy[users]-rule[0] allows it" in of_vault(pages, token=claims)
    assert "these are no claims in JSON" in of_vault(pages, token="{")[0]


def test_an_address_is_looked_at(pages: RoutePages) -> None:
    found = of_vault(pages, from_ip="10.0.0.9")
    assert "access let in: ns[shop]-policy[users]-rule[1] allows it" in found
    assert "dry run would be let in: ns[shop]-policy[trial]-rule[0] allows it" in found
    assert "give the client's address as 10.0.0.1" in of_vault(pages, from_ip="here")[0]


def test_an_audit_is_told(pages: RoutePages) -> None:
    assert "audit ns[shop]-policy[audit]-rule[0] matches" in " ".join(
        explained(pages, "GET", "http://cart.shop/secrets").split()
    )

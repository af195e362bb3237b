"""How `waypointctl get` prints what there is."""

from proxy.ctl.get import POLICIES, ROUTES, RULES, table

NOW = 1767225600.0 + 190  # 2026-01-01, 3 minutes and 10 seconds on
HEADING = {"namespace": "shop", "name": "cart", "created": "2026-01-01T00:00:00Z"}


def test_rules_are_printed_as_kubectl_does() -> None:
    one = {"namespace": "httpbin", "name": "in-ambient", "host": "in-ambient", "created": "2026-01-01T00:00:00Z"}
    two = {"namespace": "istio-system", "name": "all", "host": "*.local", "created": ""}
    assert table(RULES, [one], "httpbin", NOW).splitlines() == [
        "NAME         HOST         AGE",
        "in-ambient   in-ambient   3m10s",
    ]
    assert table(RULES, [one, two], "", NOW).splitlines() == [
        "NAMESPACE      NAME         HOST         AGE",
        "httpbin        in-ambient   in-ambient   3m10s",
        "istio-system   all          *.local      <unknown>",
    ]
    assert table(RULES, [], "shop", NOW) == "No resources found in shop namespace."
    assert table(RULES, [], "", NOW) == "No resources found"


def test_routes_say_whose_requests_they_lead() -> None:
    hosts = [f"{each}.shop" for each in "abcde"]
    found = HEADING | {"kind": "VirtualService", "for": hosts, "rules": 2, "clusters": ["shop/cart:80"]}
    idle = HEADING | {"name": "idle", "kind": "HTTPRoute", "for": ["Service/till"], "rules": 1, "clusters": []}
    assert table(ROUTES, [found, idle], "shop", NOW).splitlines() == [
        "NAME   KIND             FOR                                IN FORCE FOR   AGE",
        "cart   VirtualService   a.shop,b.shop,c.shop + 2 more...   shop/cart:80   3m10s",
        "idle   HTTPRoute        Service/till                       <none>         3m10s",
    ]


def test_policies_say_whether_they_are_in_force() -> None:
    policy = {"kind": "AuthorizationPolicy", "action": "ALLOW", "rules": 1, "for": ["Service/cart"], "in_force": "yes"}
    assert table(POLICIES, [HEADING | policy], "", NOW).splitlines() == [
        "NAMESPACE   NAME   KIND                  ACTION   RULES   FOR            IN FORCE   AGE",
        "shop        cart   AuthorizationPolicy   ALLOW    1       Service/cart   yes        3m10s",
    ]

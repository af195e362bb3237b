"""How `waypointctl explain` says why endpoints are picked."""

from typing import Any

from proxy.ctl.picks import picks_text

LIMIT = {"limit": "requests", "held": 3, "most": 24, "share": None, "fleet": False, "told": False, "refused": 0}
GROUP = {"name": "near", "endpoints": 2, "present": 1, "percent": 70.0, "panicking": False, "picks": 9}
PICK = {
    "endpoint": "10.0.0.1:80",
    "workload": "cart-1",
    "group": 0,
    "percent": 70.0,
    "weight": 1,
    "warmth": 1,
    "in_flight": 2,
    "requests": 9,
    "why": "in",
}
FOUND: dict[str, Any] = {
    "algorithm": "least_request",
    "closed": "",
    "failover": True,
    "groups": [GROUP, GROUP | {"name": "far", "percent": 30.0, "panicking": True}],
    "endpoints": [
        PICK,
        PICK | {"endpoint": "10.0.0.2:80", "percent": 0.0, "why": "ejected", "weight": 3},
        PICK | {"endpoint": "10.0.0.3:80", "group": 1, "percent": 30.0, "why": "what groups before it cannot take"},
    ],
    "outside": ["10.0.0.9:80"],
    "limits": [
        LIMIT | {"budget_percent": None},
        LIMIT | {"held": 6, "share": 6, "fleet": True, "told": True, "refused": 7, "budget_percent": None},
        LIMIT | {"limit": "pending", "share": 1, "fleet": True, "budget_percent": None},
        LIMIT | {"limit": "retries", "most": 3, "budget_percent": 20.0},
        LIMIT | {"limit": "retries", "most": 3, "share": 1, "fleet": True, "told": True, "budget_percent": 12.5},
    ],
}


def test_all_of_a_cluster() -> None:
    assert picks_text(FOUND).splitlines() == [
        "picks by LEAST_REQUEST, here and now",
        "  group 0, near: 1 of 2 in, 70 % of the requests, 9 so far",
        "  group 1, far: 1 of 2 in, 30 % of the requests, 9 so far; too few are in, so all get some (minHealthPercent)",
        "  10.0.0.1:80  group 0  70 %  in                                 2 in flight, 9 so far",
        "  10.0.0.2:80  group 0  none  ejected                            2 in flight, 9 so far, weight 3",
        "  10.0.0.3:80  group 1  30 %  what groups before it cannot take  2 in flight, 9 so far",
        "  10.0.0.9:80  none  not in this subset: it has not its labels",
        "  limit requests: 3 of 24",
        "  limit requests: 6 of 6, its share of the fleet's 24; full; no room 7 times",
        "  limit pending: 3 of 1, its share of the fleet's 24, taken to begin with, as Redis has not answered; full",
        "  limit retries: 3 of 3, or 20 % of the requests if that is more",
        "  limit retries: 3 of 12.5 % of the requests here, and 1 more, its share of the fleet's 3",
    ]


def test_one_endpoint_of_a_cluster_without_groups() -> None:
    found = FOUND | {"failover": False, "groups": [GROUP], "limits": [], "closed": "no policy"}
    assert picks_text(found, "10.0.0.2:80").splitlines() == [
        "picks by LEAST_REQUEST, here and now; closed: no policy",
        "  10.0.0.2:80  none  ejected  2 in flight, 9 so far, weight 3",
    ]

"""Table 1.1: the rule itself."""

from __future__ import annotations

from tests.rule_cases.cases import MAPPING, OUTLIERS, REQUIRED, TEXT, TOGETHER, UNKNOWN, UNREAD, rows

TOP = [
    *rows(
        "1.1 host",
        "host",
        good=[
            ("cart", UNREAD),
            ("CART", UNREAD),
            ("cart.shop.svc.cluster.local", UNREAD),
            ("cart.shop.svc.cluster.local.", UNREAD),
            ("*", UNREAD),
            ("*.local", UNREAD),
            ("*-cart.shop", UNREAD),
            ("*cart.shop", UNREAD),
            (f"{'a' * 63}.b", UNREAD),
        ],
        bad=[(None, REQUIRED), (7, TEXT)],
        webhook=[
            ("", "must be a host name"),
            ("a_b", "must be a host name"),
            ("a.*.b", "must be a host name"),
            ("a.*", "must be a host name"),
            ("a..b", "must be a host name"),
            ("-a", "must be a host name"),
            ("10.0.0.1", "must be a host name"),
            ("http://cart", "must be a host name"),
            ("a" * 64, "must be a host name"),
            ("a." * 130 + "b", "must be a host name"),
        ],
    ),
    *rows(
        "1.1 trafficPolicy",
        "trafficPolicy",
        good=[({"loadBalancer": {}}, UNREAD), ({"tls": {}, "outlierDetection": {}}, UNREAD)],
        bad=[("x", MAPPING), ([], MAPPING), ({"outlierDetecton": {}}, f"{UNKNOWN} (did you mean")],
        webhook=[
            ({}, "sets nothing"),
            ({"loadBalancer": None}, "sets nothing"),
            (
                {"tunnel": {"targetHost": "a.b", "targetPort": 1}, "proxyProtocol": {"version": "V1"}},
                TOGETHER,
            ),
        ],
    ),
    *rows(
        "1.1 subsets",
        "subsets",
        good=[
            ([], UNREAD),
            ([{"name": "v1"}, {"name": "v2", "labels": {"version": "v2"}}], UNREAD),
            ([{"name": "V1-a", "labels": {"a.b/c_d": "X.y_z", "empty": ""}}], UNREAD),
            ([{"name": "v1", "labels": {"a": "b" * 64}}], UNREAD),
            ([{"name": "v1", "trafficPolicy": OUTLIERS}], UNREAD),
        ],
        bad=[
            ({}, "must be a list"),
            ([None], "subsets[0]: is empty"),
            ([{}], "subsets[0].name: is required"),
            ([{"name": 1}], TEXT),
            ([{"name": "v1", "labels": {"a": 1}}], "subsets[0].labels.a: must be text"),
            ([{"name": "v1", "label": {}}], UNKNOWN),
            (
                [{"name": "v1", "trafficPolicy": {"outlierDetection": {"interval": 3}}}],
                "subsets[0].trafficPolicy.outlierDetection.interval",
            ),
        ],
        webhook=[
            ([{"name": "v1"}, {"name": "v1"}], 'subsets[1].name: "v1" is given twice'),
            ([{"name": ""}], "subsets[0].name: must be a name"),
            ([{"name": "v_1"}], "subsets[0].name: must be a name"),
            ([{"name": "v" * 64}], "subsets[0].name: must be a name"),
            ([{"name": "v1", "labels": {"a b": "c"}}], "is not a label"),
            ([{"name": "v1", "labels": {"-a/b": "c"}}], "is not a label"),
            ([{"name": "v1", "labels": {"a": "b c"}}], "labels.a: must be a label's value"),
            ([{"name": "v1", "labels": {"a" * 64: "b"}}], "is not a label"),
            ([{"name": "v1", "trafficPolicy": {}}], "subsets[0].trafficPolicy: sets nothing"),
        ],
    ),
    *rows(
        "1.1 exportTo",
        "exportTo",
        good=[([], UNREAD), (["."], UNREAD), (["*"], UNREAD), (["infra", "other"], UNREAD)],
        bad=[("*", "must be a list"), ([1], TEXT)],
        webhook=[
            ([".", "shop"], 'exportTo[1]: "shop" is given twice'),
            (["a", "a"], 'exportTo[1]: "a" is given twice'),
            (["*", "a"], '"*" means all namespaces and must stand alone'),
            (["~"], "exportTo[0]: must be a namespace"),
            (["A_B"], "exportTo[0]: must be a namespace"),
            ([""], "exportTo[0]: must be a namespace"),
        ],
    ),
    *rows(
        "1.1 workloadSelector",
        "workloadSelector",
        good=[({"matchLabels": {"app": "cart"}}, UNREAD), ({}, UNREAD)],
        bad=[
            ({"matchLabels": {"a": 1}}, "matchLabels.a: must be text"),
            ({"matchLabels": {"a*": "b"}}, "must be a label and its value"),
            ({"matchLabels": {"a": "*"}}, "must be a label and its value"),
            ({"matchLabels": {"": "b"}}, "must be a label and its value"),
            ({"labels": {}}, UNKNOWN),
        ],
    ),
    *rows("1.1 workloadSelector with exportTo", "exportTo", beside={"workloadSelector": {}}, good=[(["."], UNREAD)]),
    *rows(
        "1.1 workloadSelector with exportTo",
        "exportTo",
        beside={"workloadSelector": {}},
        webhook=[(["*"], "must be the rule's own namespace"), (["other"], "must be the rule's own namespace")],
    ),
    *rows("1.1 unknown", "hots", bad=[("a", f'{UNKNOWN} (did you mean "host"?)')]),
]

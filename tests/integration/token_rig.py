"""Policies about tokens, and a VirtualService that goes by a claim."""

from typing import Any

BY_CLAIM = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "routed", "namespace": "httpbin"},
    "spec": {
        "hosts": ["routed"],
        "http": [
            {
                "match": [{"headers": {"@request.auth.claims[a][B]": {"exact": "ops"}}}],
                "redirect": {"uri": "/ops"},
            },
            {"route": [{"destination": {"host": "routed"}}]},
        ],
    },
}


def target(service: str) -> dict[str, Any]:
    return {"targetRefs": [{"kind": "Service", "group": "", "name": service}]}


def authentication(service: str, rules: list[dict[str, Any]], name: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": name or service, "namespace": "httpbin"},
        "spec": {**target(service), "jwtRules": rules},
    }


def authorization(service: str, *rules: Any) -> dict[str, Any]:
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": service, "namespace": "httpbin"},
        "spec": {**target(service), "rules": list(rules)},
    }

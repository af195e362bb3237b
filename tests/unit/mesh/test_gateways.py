"""Gateways: which listeners are opened, and what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.mesh.mesh_rig import (
    endpoint_slice,
    faults,
    gateway,
    hbone,
    listener,
    loaded,
    namespace,
    service,
    warnings,
)


@pytest.mark.parametrize("protocol", ["TCP", "TLS", "istio.io/PROXY"])
def test_other_protocols_are_not_opened(protocol: str) -> None:
    objects = (namespace(), gateway(listener("mesh", 15008, protocol), listener()), service())
    result = loaded(*objects)
    assert result.snapshot is not None
    assert [each.name for each in result.snapshot.listeners] == ["http"]
    said = f"spec.listeners[0].protocol: {protocol} listeners are not built in this version; port 15008 is not opened"
    assert said in "\n".join(result.warnings)


def test_a_gateway_with_no_listener_that_opens_is_valid_and_serves_nothing() -> None:
    result = loaded(namespace(), gateway(listener("mesh", 15088, "istio.io/PROXY")), service(), endpoint_slice())
    assert result.snapshot is not None
    assert (result.snapshot.listeners, dict(result.snapshot.clusters)) == ((), {})
    assert len(result.warnings) == 1


def test_a_hostname_on_a_listener_is_warned_of() -> None:
    assert "listeners[0].hostname: does nothing on an HBONE listener" in warnings(
        namespace(), gateway(hbone(hostname="a.b")), service()
    )


@pytest.mark.parametrize(
    ("listeners", "said"),
    [
        ([listener(port=0)], "spec.listeners[0].port: must be between 1 and 65535, not 0"),
        ([listener(port=65536)], "must be between 1 and 65535"),
        ([listener() | {"port": "80"}], 'must be a whole number, not "80" (remove the quotes)'),
        ([{"name": "a", "port": 80}], "spec.listeners[0].protocol: is required"),
        ([{"port": 80, "protocol": "HTTP"}], "spec.listeners[0].name: is required"),
        ([listener(), listener(port=81)], 'spec.listeners[1].name: "http" is given twice'),
        ([listener(), listener("b")], 'spec.listeners[1].port: 80 is taken by listener "http"'),
        ([listener(), listener("b", protocol="HBONE")], "80 is taken by listener"),
        ([listener(protocol="HTTPS"), listener("b", protocol="HTTPS")], "80 is taken by listener"),
        ([listener(allowedRoutes={"namespaces": {"from": "Some"}})], "namespaces.from: must be one of All, Same"),
        ([listener(allowedRoutes={"namespaces": {"from": "Selector"}})], "selector: is required when from is Selector"),
        (
            [
                listener(
                    allowedRoutes={
                        "namespaces": {
                            "from": "Selector",
                            "selector": {"matchExpressions": [{"key": "a", "operator": "In"}]},
                        }
                    }
                )
            ],
            "values: must be given with operator In",
        ),
        ([None], "spec.listeners[0]: is empty"),
    ],
)
def test_bad_listeners(listeners: Any, said: str) -> None:
    assert said in "\n".join(faults(namespace(), gateway(*listeners)))


def test_bad_gateways() -> None:
    bare = gateway()
    bare["spec"] = {"listeners": []}
    assert [fault.split(": ", 2)[2] for fault in faults(bare)] == ["spec.gatewayClassName: is required"]
    bare["spec"] = {"listeners": [], "gatewayClassName": "a"}
    assert "spec.listeners: must hold a listener" in faults(bare)[0]
    del bare["spec"]
    assert "spec: is required" in faults(bare)[0]


def test_listeners_that_share_a_port_and_may() -> None:
    doors = [listener("a", 443, "HTTPS", hostname="a.b"), listener("b", 443, "HTTPS", hostname="b.b")]
    assert faults(namespace(), gateway(*doors, listener("c", 443, "UDP"))) == []


@pytest.mark.parametrize(
    ("protocol", "hint"),
    [("hbone", ' (did you mean "HBONE"?)'), ("HBON", ' (did you mean "HBONE"?)'), ("http", ' (did you mean "HTTP"?)')],
)
def test_a_misspelt_protocol(protocol: str, hint: str) -> None:
    """F34."""
    text = warnings(namespace(), gateway(listener(), listener("b", 81, protocol)), service(), endpoint_slice())
    assert f"{protocol} listeners are not built in this version{hint}; port 81 is not opened" in text

"""Which names and addresses select a cluster."""

from __future__ import annotations

from tests.unit.mesh.mesh_rig import USE, USE_NS, gateway, listener, namespace, routes, service, warnings


def test_host_forms_in_and_beside_the_gateways_namespace() -> None:
    far = namespace("far", {USE: "wp", USE_NS: "shop"})
    door = gateway(listener(allowedRoutes={"namespaces": {"from": "All"}}))
    table = routes(namespace(), far, door, service(), service("till", "far"))
    full = "till.far.svc.cluster.local"
    forms = ["till.far", "till.far.svc", full, f"{full}."]
    assert {name for name in table if "till" in name} == {form + port for form in forms for port in ("", ":80")}
    assert {"cart", "cart:80", "cart.shop"} <= table.keys()


def test_a_host_without_a_port_takes_the_listeners_port_else_the_first_http_port() -> None:
    ports = [{"name": "tcp", "port": 70}, {"name": "http-a", "port": 8000}, {"name": "http-b", "port": 80}]
    objects = (namespace(), gateway(listener(port=80), listener("other", 9999)), service(ports=ports))
    table = routes(*objects)
    assert (table["cart"], table["cart:8000"], table["cart:80"]) == ("shop/cart:80", "shop/cart:8000", "shop/cart:80")
    assert "cart:70" not in table
    assert routes(*objects, listener=1)["cart"] == "shop/cart:8000"


def test_a_services_own_addresses() -> None:
    spec = {"clusterIP": "10.9.0.1", "clusterIPs": ["10.9.0.1", "FD00::0:9"], "externalIPs": ["192.0.2.1"]}
    table = routes(namespace(), gateway(), service(spec=spec))
    assert {name for name in table if name[0] in "1["} == {
        "10.9.0.1",
        "10.9.0.1:80",
        "[fd00::9]",
        "[fd00::9]:80",
        "192.0.2.1",
        "192.0.2.1:80",
    }


def test_a_headless_service_has_names_only() -> None:
    table = routes(namespace(), gateway(), service(spec={"clusterIP": "None"}))
    assert not any("none" in name.lower() for name in table)


def test_an_address_of_two_services() -> None:
    spec = {"externalIPs": ["127.0.0.1"]}
    other = service("a", ports=[{"name": "http", "port": 90}], spec=spec)
    objects = (namespace(), gateway(), service(spec=spec), other)
    table = routes(*objects)
    assert (table["127.0.0.1"], table["127.0.0.1:90"]) == ("shop/cart:80", "shop/a:90")
    assert "host 127.0.0.1 selects shop/cart:80, not shop/a:90" in warnings(*objects)

"""The store of objects: sources that give theirs, give them anew and take them back."""

from __future__ import annotations

from typing import Any

from proxy.mesh.reading.documents import Placed
from proxy.mesh.reading.objects import Objects
from proxy.mesh.reading.remarks import Key, Place
from proxy.mesh.reading.sheets import read_sheet
from proxy.mesh.reading.tree import read
from proxy.mesh.resolving.load import READERS

CART = Key("Service", "shop", "cart")
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {ports: [{port: 80}]}\n"
BROKEN = SERVICE.replace("80", "0")


def placed(text: str, path: str = "a.yaml", before: int = 0) -> list[Placed]:
    return [(read_sheet(tree, READERS), Place(path, before)) for tree in read(text)]


def changed(objects: Objects) -> list[tuple[Key, bool, bool]]:
    return [(change.key, bool(change.old), bool(change.new)) for change in objects.take_changes()]


def test_what_came_is_another_and_went() -> None:
    objects = Objects()
    objects.put("a", placed(SERVICE))
    assert changed(objects) == [(CART, False, True)]
    assert changed(objects) == []
    objects.put("a", placed(SERVICE))
    assert changed(objects) == [(CART, True, True)]
    objects.put("a", [])
    assert changed(objects) == [(CART, True, False)]
    assert objects.get(CART) is None
    assert list(objects.of("Service")) == []


def test_what_came_and_went_in_between_is_no_change() -> None:
    objects = Objects()
    objects.put("a", placed(SERVICE))
    objects.put("a", [])
    assert changed(objects) == []


def test_a_document_that_has_moved_is_no_change_and_its_lines_follow() -> None:
    objects = Objects()
    ((sheet, place),) = placed(BROKEN)
    objects.put("a", [(sheet, place)])
    changed(objects)
    assert [fault.line for fault in objects.faults()] == [4]
    objects.put("a", [(sheet, Place("a.yaml", 10))])
    assert [fault.line for fault in objects.faults()] == [14]
    assert changed(objects) == []


def test_faults_go_with_the_object() -> None:
    objects = Objects()
    objects.put("a", placed(BROKEN))
    assert [str(fault) for fault in objects.faults()] == [
        "a.yaml:4: Service shop/cart: spec.ports[0].port: must be between 1 and 65535, not 0"
    ]
    objects.put("a", placed(SERVICE))
    assert objects.faults() == []


def test_an_object_of_two_sources_is_a_fault_until_one_takes_it_back() -> None:
    objects = Objects()
    objects.put("b", placed(SERVICE, "b.yaml"))
    objects.put("a", placed(SERVICE))
    assert [str(fault) for fault in objects.faults()] == [
        "b.yaml:1: Service shop/cart: given twice (first in a.yaml:1)"
    ]
    kept: Any = next(record for record in objects.of("Service"))
    objects.put("b", [])
    assert objects.faults() == []
    assert objects.place(CART) == Place("a.yaml")
    assert objects.get(CART) is not kept
    assert changed(objects) == [(CART, False, True)]

"""Every field of a VirtualService, valid and not, as it is read from a file (`tests.virtual_cases`)."""

from __future__ import annotations

import pytest

from proxy.mesh.resolving.load import Loader
from tests.unit.mesh.mesh_rig import documents, shop, virtual
from tests.virtual_cases import CART, CASES, Case, Spec

SHOP = documents(*shop())


@pytest.fixture(scope="module")
def loader() -> Loader:
    """One for all: of what it has read before only the VirtualService is read anew."""
    return Loader()


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, loader: Loader) -> None:
    result = loader.load([*SHOP, *documents(virtual(case.spec))])
    told = [str(fault) for fault in result.faults]
    if case.refused:
        assert result.snapshot is None, "it is refused as a whole"
        assert any(case.refused in each for each in told), told
        assert all("VirtualService shop/virtual: spec" in each for each in told), "with its field"
    else:
        assert result.snapshot, told


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"rewrite": {"uri": "/a b"}}, "rewrite.uri: must be a path, without blanks"),
        (
            {"rewrite": {"uriRegexRewrite": {"match": "a", "rewrite": "/\r\n"}}},
            "rewrite: must be a path, without blanks",
        ),
        ({"rewrite": {"authority": "a b"}}, "rewrite.authority: must be a host, with or without a port"),
        ({"headers": {"request": {"set": {"host": "a/b"}}}}, "headers.request: must be a host, with or without a port"),
        ({"headers": {"request": {"set": {"x a": "1"}}}}, "set[x a]: must be the name of a header"),
        ({"route": [CART | {"weight": 2**31 - 1}] * 3}, "has more weight than 4294967295 in all"),
    ],
)
def test_what_could_not_be_sent_is_refused_though_istio_takes_it(fields: Spec, said: str, loader: Loader) -> None:
    result = loader.load([*SHOP, *documents(virtual({"hosts": ["cart"], "http": [{"route": [CART], **fields}]}))])
    assert [each for each in map(str, result.faults) if said in each], list(map(str, result.faults))

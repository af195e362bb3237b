"""The corpus of request smuggling (tests/fuzz) on the sockets of a whole replica: what its endpoint is sent, octet for
octet.

The endpoint reads by the letter of RFC 9112 and takes note of whatever it cannot read.
"""

from collections.abc import Iterator

import pytest

from tests.fuzz import strict
from tests.fuzz.smuggling import cases
from tests.integration.http_rig import OK, Bench, Peer, bench

CASES = sorted(dict(cases()).items())
SLICES = 20


class Strict:
    """What came, over all connections."""

    def __init__(self) -> None:
        self.requests: list[strict.Request] = []
        self.unreadable: list[bytes] = []

    def __call__(self, peer: Peer) -> None:
        while True:
            try:
                request, peer.buffer = strict.read(peer.buffer)
            except strict.Incomplete:
                if not peer.more():
                    return
                continue
            except strict.Rejected:
                if b"\r\n\r\n" in peer.buffer and not peer.more():  # cut in the middle of a body
                    return
                if b"\r\n\r\n" not in peer.buffer and peer.more():
                    continue
                self.unreadable.append(peer.buffer)
                return
            self.requests.append(request)
            peer.send(OK)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("smuggling"), services={"a": 1, "b": 1}) as running:
        yield running


@pytest.mark.parametrize("part", range(SLICES))
def test_nothing_ambiguous_reaches_an_endpoint(proxy: Bench, part: int) -> None:
    read = 0
    for name, data in CASES[part::SLICES]:
        reader = Strict()
        for service in ("a", "b"):
            proxy.play(service, reader)
        with proxy.client() as client:
            client.send(data)
            client.finish()
            client.rest()
        assert reader.unreadable == [], name
        intended = [request.target for request in strict.meant(data)[0]]
        smuggled = sum(b"/smuggled" in request.target for request in reader.requests)
        assert smuggled <= sum(b"/smuggled" in target for target in intended), name
        read += len(reader.requests)
    assert read > 5, "some of the corpus is valid"

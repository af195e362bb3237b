"""Traffic of a mesh's client through one waypoint, while something is done to it."""

from collections.abc import Callable
from functools import partial

from tests.certificates import CLIENT_POD, WAYPOINT, Leaf
from tests.hbone import identities
from tests.hbone.ztunnel import Ztunnel
from tests.integration.http_rig import Wire
from tests.rig import Background, search


class Tunnels(Background):
    """Clients that ask until the block ends: `kept` of them in tunnels that stay, one in a new connection each time."""

    def __init__(self, port: int, client: Leaf, kept: int = 2, waypoint: str = WAYPOINT) -> None:
        stay, change = partial(self._guarded, self._stay), partial(self._guarded, self._come_and_go)
        super().__init__(*[stay] * kept, change)
        self.count = 0
        self.failed: list[str] = []
        self.chains: set[bytes | None] = set()
        us = identities.Leaf(client.chain, client.key, CLIENT_POD)
        self._mesh = Ztunnel([("127.0.0.1", port)], us, client.roots, waypoint=waypoint)

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self._mesh.close()

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            run()
        except Exception as fault:  # noqa: BLE001  whatever a client may meet is a failed request
            self.failed.append(repr(fault))

    def _stay(self) -> None:
        tunnel = Wire(self._mesh.tunnel("in-ambient.httpbin:8000"))
        while not self.stopping.is_set():
            self._ask(tunnel)

    def _come_and_go(self) -> None:
        while not self.stopping.is_set():
            connection = self._mesh.connect()
            self._ask(Wire(self._mesh.tunnel("in-ambient.httpbin:8000", over=connection)))
            self.chains.add(connection.certificate())
            connection.close()

    def _ask(self, tunnel: Wire) -> None:
        tunnel.send("GET /hostname HTTP/1.1\r\nhost: in-ambient\r\n\r\n")
        head = tunnel.until(b"\r\n\r\n").decode("latin-1")
        tunnel.exactly(int(search(r"content-length: (\d+)", head)[1]))
        self.count += 1
        if not head.startswith("HTTP/1.1 200 "):
            self.failed.append(head)

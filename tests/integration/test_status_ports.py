"""The ports beside the data path, 15021 and 15000: who is answered, whatever others hold open, and who is not."""

import http.client
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.rig import Replica, endpoints, get, manifests_for, replica


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A replica, the same for all: nothing here changes it."""
    directory: Path = tmp_path_factory.mktemp("status")
    with (
        endpoints(1) as members,
        manifests_for(members) as (manifests, port),
        replica(directory, manifests, port) as it,
    ):
        yield it


@pytest.mark.parametrize("said", [b"", b"G"])
def test_P1_readiness_and_pages_answer_whatever_strangers_hold_open(served: Replica, said: bytes) -> None:
    with strangers(served.status, 300, said) as held, strangers(served.admin, 300, said) as held_too:
        assert served.ready()
        assert is_held(held[150]), "the answer came only when others had been cut"
        assert get(served.admin, "/server_info")[0] == 200
        assert is_held(held_too[150])
        assert [served.ready() for _ in range(9)] == [True] * 9


def test_P1_readiness_answers_while_strangers_come_again_and_again(served: Replica) -> None:
    with strangers(served.status, 300, b"G") as held:
        for _ in range(10):
            for _ in range(30):  # whoever was sent away is back
                held.pop(0).close()
                held.append(stranger(served.status, b"G"))
            assert served.ready()
            assert is_held(held[150])


def is_held(sock: socket.socket) -> bool:
    """Whether the other side has neither answered nor closed."""
    return not select.select([sock], [], [], 0)[0]


@contextmanager
def strangers(port: int, number: int, said: bytes) -> Iterator[list[socket.socket]]:
    """So many connections that ask for nothing."""
    held = [stranger(port, said) for _ in range(number)]
    try:
        yield held
    finally:
        for each in held:
            each.close()


def stranger(port: int, said: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    sock.sendall(said)
    return sock


def test_an_admin_page_answers_only_to_hosts_it_expects(served: Replica) -> None:
    def status(host: str, method: str = "GET", page: str = "/config_dump") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", served.admin, timeout=5)
        connection.request(method, page, headers={"host": host, "content-type": "application/json"})
        return connection.getresponse().status

    assert status("rebound.example.com") == status(f"rebound.example.com:{served.admin}") == 403
    assert status("rebound.example.com", "POST", "/eject") == 403
    assert status(f"localhost:{served.admin}") == status("127.0.0.1:9000") == status("[::1]:15000") == 200

"""The access log of whole replicas: every field, JSON, pipes that are full, files that are rotated."""

import contextlib
import fcntl
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.http_rig import Bench, answering, bench, serve_ok, unique
from tests.patience import within
from tests.rig import wait_until

CLUSTER = "inbound-vip|8000|http|solo.httpbin.svc.cluster.local"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("log"), services={"solo": 1}) as running:
        yield running


def test_every_field(proxy: Bench) -> None:
    answer = b"HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    endpoint = proxy.play("solo", answering(answer))
    path = unique() + "?q=a%20b"
    fields = ("user-agent: probe/1 (x)", "x-forwarded-for: 1.2.3.4, 5.6.7.8", "x-request-id: the-id")
    with proxy.client() as client:
        client.ask("solo:8000", path, *fields, method="POST", body=b"1234567")
        own = client.sock.getsockname()
    line = proxy.line(path)
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", line["time"])
    upstream = endpoint.peers[0].sock.getpeername()
    assert {key: line[key] for key in line if key not in ("time", "duration", "service")} == {
        "method": "POST",
        "path": path,
        "protocol": "HTTP/1.1",
        "status": "201",
        "flags": "-",
        "details": "via_upstream",
        "transport": "-",
        "received": "7",
        "sent": "5",
        "xff": "1.2.3.4, 5.6.7.8",
        "agent": "probe/1 (x)",
        "id": "the-id",
        "authority": "solo.httpbin.svc.cluster.local:8000",
        "host": endpoint.address,
        "cluster": CLUSTER,
        "local": f"{upstream[0]}:{upstream[1]}",
        "downstream": f"127.0.0.1:{proxy.replica.port}",
        "remote": f"{own[0]}:{own[1]}",
        "route": "default",
    }
    assert 0 <= int(line["service"]) <= int(line["duration"]) < 1000


def test_the_id_that_was_made_is_logged(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    path = unique()
    with proxy.client() as client:
        client.ask("solo", path)
    assert proxy.line(path)["id"] == endpoint.heads[0]["x-request-id"]


def test_the_line_of_a_refusal_does_not_wait_for_the_client(proxy: Bench) -> None:
    with proxy.client() as client:
        client.send("BROKEN\r\n\r\n")
        client.answer()
        line = proxy.line("codec_error", 0.5)
    assert (line["method"], line["path"], line["protocol"], line["status"]) == ("-", "-", "-", "400")
    assert int(line["duration"]) < 500


HOSTILE = [
    'quote" and \\backslash',
    "tab\tand \x80\xff latin",
    '{"json": "injection"}, "x": "',
    "é" * 300,
    '"' * 3000,
    "\\" * 3000,
    "\xff" * 3000,
]


# What Istio's JSON log has.
NAMES = """start_time route_name method path protocol response_code response_flags response_code_details
connection_termination_details bytes_received bytes_sent duration upstream_service_time x_forwarded_for user_agent
request_id authority upstream_host upstream_cluster upstream_local_address downstream_local_address
downstream_remote_address requested_server_name upstream_transport_failure_reason"""


def test_K44_json_is_valid_whatever_a_client_sends(tmp_path: Path) -> None:
    with bench(tmp_path, "--access-log-format", "json", services={"solo": 1}) as proxy:
        proxy.play("solo", serve_ok)
        with proxy.client() as client:
            for value in HOSTILE:
                raw = value.encode("latin-1").decode("latin-1")
                fields = (f"user-agent: {raw}", f"x-forwarded-for: {raw}", f"x-request-id: {raw}")
                assert client.ask("SOLO", "/" + "%22" * 900, *fields)[0].status == 200
            client.ask("nowhere:81", "/last")
            client.send("BROKEN\r\n\r\n")
            client.answer()
        wait_until(lambda: len(proxy.waypoint.lines()) == len(HOSTILE) + 2, 3, "all lines")
        lines = proxy.waypoint.lines()
        assert all(len(line.encode()) < 4096 for line in lines)
        entries = [json.loads(line) for line in lines]
        assert set(NAMES.split()) <= entries[0].keys()
        assert entries[0].keys() == entries[-1].keys()
        for entry, value in zip(entries, HOSTILE, strict=False):
            assert entry["user_agent"]
            assert value.startswith(entry["user_agent"])
            assert entry["host"] == "SOLO"
            assert entry["authority"] == "solo.httpbin.svc.cluster.local:8000"
            assert entry["upstream_cluster"] == CLUSTER
            assert (entry["response_code"], entry["response_flags"]) == (200, "-")
        assert (entries[-2]["response_flags"], entries[-2]["host"], entries[-2]["upstream_host"]) == (
            "NR",
            "nowhere:81",
            None,
        )
        assert (entries[-1]["response_code"], entries[-1]["method"], entries[-1]["upstream_service_time"]) == (
            400,
            None,
            None,
        )


ESCAPED = {
    b'x" 200 - via_upstream "forged': "x\\x22 200 - via_upstream \\x22forged",
    b"back\\slash\\x22": "back\\x5Cslash\\x5Cx22",
    b"tab\tbed": "tab\\x09bed",
    b"\x9b2J and \xff": "\\x9B2J and \\xFF",
    "\x9b2J C1 in UTF-8".encode(): "\\xC2\\x9B2J C1 in UTF-8",
    "\u202egnp.exe".encode(): "\\xE2\\x80\\xAEgnp.exe",
    "\u2066isolated\u2069".encode(): "\\xE2\\x81\\xA6isolated\\xE2\\x81\\xA9",
    b"overlong \xc0\xa2": "overlong \\xC0\\xA2",
    b"cut \xe2\x82": "cut \\xE2\\x82",
    "Zürich, 東京 🚀".encode(): "Zürich, 東京 🚀",
}


@pytest.mark.parametrize("said", ESCAPED, ids=ascii)
def test_P8_nothing_a_client_says_forges_the_text_line_or_drives_a_terminal(proxy: Bench, said: bytes) -> None:
    proxy.play("solo", serve_ok)
    path = unique()
    value = said.decode("latin-1")
    with proxy.client() as client:
        client.ask("solo", path, f"user-agent: {value}", f"x-forwarded-for: {value}", f"x-request-id: {value}")
    line = proxy.line(path)
    assert (line["agent"], line["xff"], line["id"]) == (ESCAPED[said],) * 3


def test_P8_an_odd_octet_is_escaped_wherever_it_stands(proxy: Bench) -> None:
    """Octets are looked at eight at a time: here is one at each place of shorter and longer values."""
    proxy.play("solo", serve_ok)
    with proxy.client() as client:
        for before, behind in [(at, length - at) for length in (0, 3, 6, 7, 8, 9, 17) for at in range(length + 1)]:
            path = unique()
            client.ask("solo", path, f'user-agent: {"x" * before}"{"y" * behind}')
            assert proxy.line(path)["agent"] == f"{'x' * before}\\x22{'y' * behind}"


def test_P8_the_path_is_escaped_too_and_cut_to_its_bytes(proxy: Bench) -> None:
    proxy.play("solo", serve_ok)
    path = unique()
    with proxy.client() as client:
        client.ask("solo", path + '"' * 3000)
    assert proxy.line(path)["path"] == path + "\\x22" * ((2048 - len(path)) // 4)


def test_P8_the_path_that_is_logged_is_the_one_asked_for(proxy: Bench) -> None:
    endpoint = proxy.play("solo", serve_ok)
    path = unique()
    with proxy.client() as client:
        client.ask("solo", path, "x-envoy-original-path: /forged")
    assert proxy.line(path)["path"] == path
    assert endpoint.heads[0]["x-envoy-original-path"] == "/forged"


@contextlib.contextmanager
def pipe(path: Path) -> Iterator[int]:
    """A named pipe of one page, and the descriptor that reads it."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    try:
        yield reader
    finally:
        os.close(reader)


def drained(reader: int) -> bytes:
    data = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            data += os.read(reader, 65536)
    return data


def test_a_pipe_gets_whole_lines_or_none(tmp_path: Path) -> None:
    with (
        pipe(tmp_path / "log") as reader,
        bench(tmp_path, "--access-log", str(tmp_path / "log"), services={"solo": 1}) as proxy,
    ):
        proxy.play("solo", serve_ok)
        with proxy.client() as client:
            client.ask("solo", "/long" + "x" * 20000, "user-agent: " + "y" * 20000, "x-request-id: " + "z" * 9000)
            line = wait_until(lambda: drained(reader), 2, "a line")
            assert 2000 < len(line) <= 4096
            assert line.count(b"\n") == 1
            assert line.endswith(b" - default\n")

            with within(3, "nobody waits for the log's reader"):
                for i in range(300):
                    assert client.ask("solo", f"/fill-{i}-")[0].status == 200
        text = b""

        def told() -> bool:
            nonlocal text
            text += drained(reader)
            return text.count(b"\n") + int(proxy.replica.info()["workers"][0]["log_lines_dropped"]) == 300

        wait_until(told, 5, "the last line follows its answer")
        lines = text.split(b"\n")
        assert lines.pop() == b""
        assert all(line.startswith(b"[") and line.endswith(b" - default") for line in lines)
        assert len(lines) < 300, "some found no room"
        with proxy.client() as client:
            client.ask("solo", "/again")
        assert b"/again" in wait_until(lambda: drained(reader), 2, "the log goes on")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1], ids=lambda number: number.name)
def test_a_log_file_is_rotated(tmp_path: Path, number: signal.Signals) -> None:
    log, rotated = tmp_path / "access.log", tmp_path / "access.log.1"
    with bench(tmp_path, "--access-log", str(log), services={"solo": 1}) as proxy:
        proxy.play("solo", serve_ok)
        with proxy.client() as client:
            client.ask("solo", "/before")
            wait_until(lambda: "/before" in log.read_text(), 2)
            log.rename(rotated)
            client.ask("solo", "/between")
            wait_until(lambda: "/between" in rotated.read_text(), 2)
            os.kill(proxy.waypoint.pid, number)
            wait_until(log.exists, 3, "opened anew")
            client.ask("solo", "/after")
            wait_until(lambda: "/after" in log.read_text(), 2)
        assert "/after" not in rotated.read_text()
        assert "/before" not in log.read_text()

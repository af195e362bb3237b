"""h2spec (github.com/summerwind/h2spec, MIT), which asks an HTTP/2 server for what RFC 7540 and RFC 7541 demand of it.

Built of the versions in go.mod, by whatever Go is on the machine; Go keeps what it has built. Nothing of it is in here.
"""

import contextlib
import os
import re
import select
import shutil
import socket
import ssl
import subprocess
import threading
import xml.etree.ElementTree as xml
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

HERE = Path(__file__).parent


def build(directory: Path) -> Path:
    """The program; skips the test where it cannot be built."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if not go:
        pytest.skip("go is not installed (https://go.dev/dl)")
    program = directory / "h2spec"
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    command = [go, "build", "-o", str(program), "github.com/summerwind/h2spec/cmd/h2spec"]
    done = subprocess.run(command, cwd=HERE, env=environment, timeout=300, capture_output=True, text=True, check=False)
    if "dial tcp" in done.stderr or "Forbidden" in done.stderr:
        pytest.skip(f"h2spec cannot be had from here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return program


@dataclass(frozen=True)
class Case:
    name: str  # its number: section, and which one there
    title: str
    said: str  # why it has failed, or was left out; empty: it has passed


def run(program: Path, host: str, port: int, *names: str, seconds: int = 1) -> list[Case]:
    """What the cases say, or those with these names; `seconds` is how long each waits for what must come."""
    report = program.with_name(f"report-{port}.xml")
    command = [str(program), "-h", host, "-p", str(port), "-S", "-o", str(seconds), "-j", str(report), *names]
    subprocess.run(command, timeout=240, capture_output=True, check=False)
    return [
        Case(f"{group.get('package')}/{number}", str(case.get("classname")), _said(case))
        for group in xml.fromstring(_printable(report.read_text(errors="replace"))).iter("testsuite")
        for number, case in enumerate(group.iter("testcase"), 1)
    ]


def _printable(text: str) -> str:
    """What frames said stands in the report as it was, also what XML does not allow."""
    return re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd]", "?", text)


def _said(case: xml.Element) -> str:
    return "; ".join(f"{each.tag}: {each.text or ''}" for each in case)


class TlsForwarder:
    """A plain port whose connections go on over TLS: for programs that have no certificate to show."""

    def __init__(self, peer: tuple[str, int], context: ssl.SSLContext) -> None:
        self._peer, self._context = peer, context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._forward, args=(sock,), daemon=True).start()

    def _forward(self, plain: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            plain,
            socket.create_connection(self._peer, 10) as sock,
            self._context.wrap_socket(sock) as tls,
        ):
            ways: dict[socket.socket, socket.socket] = {plain: tls, tls: plain}
            while True:
                for each in [tls] if tls.pending() else select.select(ways, [], [])[0]:
                    data = each.recv(65536)
                    if not data:
                        return
                    ways[each].sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

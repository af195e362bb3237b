"""A DNS server that answers what a test wants it to, over UDP and TCP, on 127.0.0.1."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.rig import free_port

Records = dict[str, list[str]]


@dataclass
class DnsServer:
    """`records`: addresses by name; a name that is not there does not exist. `asked`: the names of all questions."""

    port: int = 0
    records: Records = field(default_factory=dict)
    ttl: int = 1
    silent: bool = False
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    rotates: bool = False
    truncates: bool = False
    asked: list[str] = field(default_factory=list)
    over_tcp: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def asked_for(self, name: str) -> int:
        return self.asked.count(name)

    def answer(self, wire: bytes, tcp: bool) -> bytes:
        """The answer to one message; b"": none."""
        query = dns.message.from_wire(wire)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True)
        self.asked.append(name)
        self.over_tcp += tcp
        if self.silent:
            return b""
        answer = dns.message.make_response(query)
        addresses = self.records.get(name)
        answer.set_rcode(self.rcode or (dns.rcode.NXDOMAIN if addresses is None else dns.rcode.NOERROR))
        if self.truncates and not tcp:
            answer.flags |= dns.flags.TC
        elif not self.rcode:
            wanted = question.rdtype == dns.rdatatype.AAAA
            found = [each for each in addresses or () if (":" in each) is wanted]
            if self.rotates:
                turn = len(self.asked) % (len(found) or 1)
                found = found[turn:] + found[:turn]
            for each in found:  # one by one: a set would be written in any order
                answer.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", question.rdtype, each))
        return answer.to_wire()


@contextlib.contextmanager
def dns_server(**records: list[str]) -> Iterator[DnsServer]:
    """Serves `NAME.test` for each of the records."""
    server = DnsServer(free_port(), {f"{name}.test": addresses for name, addresses in records.items()})

    class OverUdp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            wire, sock = self.request
            if answer := server.answer(wire, False):
                sock.sendto(answer, self.client_address)

    class OverTcp(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            length = int.from_bytes(self.rfile.read(2), "big")
            answer = server.answer(self.rfile.read(length), True)
            self.wfile.write(len(answer).to_bytes(2, "big") + answer)

    address = "127.0.0.1", server.port
    udp, tcp = socketserver.ThreadingUDPServer(address, OverUdp), socketserver.ThreadingTCPServer(address, OverTcp)
    for each in (udp, tcp):
        each.daemon_threads = True
        threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        for each in (udp, tcp):
            each.shutdown()
            each.server_close()


def nobody() -> str:
    """An address where no name server is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"

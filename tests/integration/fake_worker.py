"""A stand-in for `python -m proxy.worker`: keeps its contract, answers every connection with what it knows."""

import argparse
import json
import os
import selectors
import signal
import socket

from proxy.ipc.channel import Channel, read_body
from proxy.ipc.snapshot import ClusterForm, unpack
from proxy.scoreboard.scoreboard import Scoreboard
from proxy.scoreboard.workers import DRAINING, READY


class FakeWorker:
    def __init__(self, options: argparse.Namespace) -> None:
        self.slot = options.slot
        self.board = Scoreboard.attach(options.scoreboard)
        self.channel = Channel.adopt(options.channel)
        self.handover = socket.socket(fileno=options.handover_in)
        self.selector = selectors.DefaultSelector()
        self.sockets: dict[str, socket.socket] = {}
        self.clusters: dict[str, ClusterForm] = {}
        self.number = 0
        self.draining = False

    def run(self) -> None:
        settings, _ = self.channel.receive() or ({}, [])
        assert settings["op"] == "settings"
        if os.environ.get("FAKE_WORKER_FAILS"):
            raise SystemExit(3)
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "draining", True))
        signal.signal(signal.SIGHUP, lambda *_: None)
        self.selector.register(read, selectors.EVENT_READ, lambda: os.read(read, 99))
        self.selector.register(self.channel, selectors.EVENT_READ, self.news)
        self.selector.register(self.handover, selectors.EVENT_READ, self.handed)
        while not self.draining:
            for key, _ in self.selector.select():
                key.data()
        self.board.workers.set_state(self.slot, DRAINING)
        if os.environ.get("FAKE_WORKER_HANGS"):
            signal.pause()

    def news(self) -> None:
        received = self.channel.receive()
        if received is None:
            raise SystemExit(0)
        message, (body, *fds) = received
        news = unpack(read_body(body))
        os.close(body)
        for address, fd in zip(message["sockets"], fds, strict=True):
            self.forget(address)
            self.sockets[address] = sock = socket.socket(fileno=fd)
            self.selector.register(sock, selectors.EVENT_READ, lambda s=sock: self.accept(s))
        if news["full"]:
            self.clusters.clear()
        self.clusters |= {cluster["name"]: cluster for cluster in news["clusters"]}
        for name in news["removed"]:
            del self.clusters[name]
        for address in self.sockets.keys() - {listener["address"] for listener in news["listeners"]}:
            self.forget(address)
        self.number = news["number"]
        self.board.workers.set_snapshot(self.slot, self.number)
        self.board.workers.set_state(self.slot, READY)

    def forget(self, address: str) -> None:
        if sock := self.sockets.pop(address, None):
            self.selector.unregister(sock)
            sock.close()

    def accept(self, sock: socket.socket) -> None:
        try:
            connection, _ = sock.accept()
        except BlockingIOError:
            return
        self.answer(connection)

    def handed(self) -> None:
        _, fds, _, _ = socket.recv_fds(self.handover, 4096, 16)
        self.answer(socket.socket(fileno=fds[0]))

    def answer(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(2)
            connection.recv(65536)
            clusters = {name: len(cluster["endpoints"]) for name, cluster in self.clusters.items()}
            body = json.dumps(
                {"slot": self.slot, "pid": os.getpid(), "number": self.number, "clusters": clusters}
            ).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("--slot", "--channel", "--scoreboard", "--handover-in"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--handover-out", required=True)
    FakeWorker(parser.parse_args()).run()

"""Connections to endpoints that many clients share: what one request does to the others on it, and what is said when
one ends."""

import contextlib
import ctypes
import dataclasses
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from tests.hbone.stream import Stream
from tests.integration.captured import captured, h2_app, h2_name
from tests.integration.hbone_rig import Served, echo, hbone_bench, outlier_rule
from tests.integration.http_rig import Client, Scripted, serve_ok
from tests.rig import wait_until


def test_H2_A_frames_of_no_use_cut_nobody(tmp_path: Path) -> None:
    """What one answer brings along leaves the download beside it whole, and counts against nobody."""

    def serve(stream: Stream, endpoint: Scripted) -> None:
        if stream.headers[":path"] == "/download":
            stream.connection.respond(stream, [(":status", "200")])
            stream.sendall(b"begun ")
            stream.connection.wait_until(lambda each: len(each.streams) > 1 and each.streams[3].finished)
            stream.sendall(b"ended")
            stream.finish()
            return
        stream.connection.respond(stream, [(":status", "200")])
        for _ in range(15):
            stream.connection.raw(DataFrame(stream.number).serialize() * 100 + SettingsFrame(0).serialize() * 100)
        h2_end(stream)

    with (
        captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one,
        ThreadPoolExecutor() as pool,
    ):
        download = pool.submit(one.ask, "/download")
        wait_until(lambda: one.members[0].connections and one.members[0].connections[0].streams)
        assert one.ask("/upload") == "ok"
        assert download.result() == "begun ended"
        assert len(one.members[0].connections) == 1
        assert one.row(one.members[0])["failed"] == 0


SO_ATTACH_FILTER = 26


def vanish(sock: socket.socket) -> None:
    """From here on no packet reaches the socket: its host takes nothing and acknowledges nothing."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(drop_all)))


def h2_end(stream: Stream) -> None:
    stream.sendall(b"ok")
    stream.finish()


def test_H2_A_whoever_loses_by_our_ending_a_connection_can_read_why(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.raw(PingFrame(0, b"12345678").serialize() * 5000)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        member = one.members[0]
        assert one.ask(method="POST") == "502"
        told = f"endpoints: HTTP/2 broken off with {member.address}: "
        wait_until(lambda: told in one.replica.waypoint.errors())
        member.play(h2_app(h2_name))
        assert one.ask() == "web-0"


@pytest.mark.parametrize("hbone", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["tcp", "hbone"])
def test_H2_J_a_pod_that_vanished_without_a_word_is_given_up(tmp_path: Path, hbone: bool) -> None:
    with captured(tmp_path, 1, hbone=hbone, port_name="grpc", handler=h2_app(h2_name)) as one:
        assert one.ask() == "web-0"
        vanish(one.connections()[0].sock if hbone else one.members[0].connections[0].sock)
        with Client(one.replica.port, timeout=60) as client:
            head, _ = client.ask("web", method="POST", body=b"abc")
        assert head.status == 503
        assert one.row(one.members[0])["failed"] == 1
        told = "nothing is acknowledged any more" if not hbone else "endpoints: HTTP/2 broken off with"
        assert told in one.replica.waypoint.errors()
        assert one.ask() == "web-0", "over another connection"


def test_H2_J_whatever_is_under_way_to_a_host_that_vanished_is_given_up(tmp_path: Path) -> None:
    """An HTTP/1.1 request is sent again over another connection if it may be; an upload fails, and counts once; a TCP
    connection ends. Without a word of its host the kernel would go on for a quarter of an hour."""
    names = ("get", "post", "raw")
    ports = (("http", 8000), ("http", 8000), ("tcp", 9000))
    kinds = [Served(name, port, kind, hbone=False) for name, (kind, port) in zip(names, ports, strict=True)]
    rules = [dataclasses.replace(each, rule=outlier_rule(each.name)) for each in kinds]
    with hbone_bench(tmp_path, *rules) as proxy, contextlib.ExitStack() as stack:
        for name in names:
            proxy.play(name, echo if name == "raw" else serve_ok)
        get, post, raw = (stack.enter_context(proxy.client(name, timeout=60)) for name in names)
        assert get.ask("any")[1] == post.ask("any")[1] == b"ok"
        raw.send(b"x")
        assert raw.exactly(1) == b"x"
        for name in names:
            vanish(proxy.services[name][0].peers[-1].sock)
        get.request("any")
        post.send("POST / HTTP/1.1\r\nhost: any\r\ncontent-length: 100000\r\n\r\nbegun")
        raw.send(b"y")
        assert get.answer()[1] == b"ok"
        assert post.head().status == 503
        with pytest.raises((ConnectionResetError, EOFError)):
            raw.exactly(1)
        assert [proxy.row(name)[0]["failed"] for name in names] == [0, 1, 0]


@pytest.mark.slow
def test_H2_J_an_endpoint_that_does_not_read_for_long_is_not_gone(tmp_path: Path) -> None:
    """Its host acknowledges, with a window that is shut: an upload waits, for as long as a stream may be idle."""
    size = 30_000_000

    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.reads.clear()
        time.sleep(33)
        stream.connection.reads.set()
        got = 0
        while piece := stream.recv(1 << 20):
            got += len(piece)
        stream.connection.respond(stream, [(":status", "200")])
        stream.sendall(f"{got}".encode())
        stream.finish()

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve, {4: 1 << 30})) as one:
        with Client(one.replica.port, timeout=90) as client:
            head, body = client.ask("web", method="POST", body=b"x" * size)
        assert (head.status, body) == (200, f"{size}".encode())
        assert one.row(one.members[0])["failed"] == 0


def test_H2_L_the_answer_that_ends_the_connection_is_the_one_that_is_blamed(tmp_path: Path) -> None:
    """A field longer than nghttp2 takes (64 KiB, compressed) ends it for all (RFC 9113 4.3). The others were on a
    connection that has ended, and it is no failure: an answer that we refuse says nothing about its endpoint."""

    def serve(stream: Stream, endpoint: Scripted) -> None:
        if stream.headers[":path"] == "/large":
            stream.connection.respond(stream, [(":status", "200"), ("x-large", "~" * 50_000)])
        elif stream.headers[":path"] == "/warm" or len(endpoint.connections) > 1:
            stream.connection.respond(stream, [(":status", "200")])
            h2_end(stream)

    with (
        captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one,
        ThreadPoolExecutor() as pool,
    ):
        assert one.ask("/warm") == "ok"
        streams = one.members[0].connections[0].streams
        get = pool.submit(one.ask, "/get")
        wait_until(lambda: len(streams) == 2)
        post = pool.submit(one.ask, "/post", method="POST")
        wait_until(lambda: len(streams) == 3)
        assert one.ask("/large", method="POST") == "502"
        assert (get.result(), post.result()) == ("ok", "503")
        assert (one.line("/large")["flags"], one.line("/post")["flags"]) == ("UPE", "UC")
        assert one.row(one.members[0])["failed"] == 0

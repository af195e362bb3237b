"""Connections to endpoints that many clients share: what one request does to the others on it, and what is said when
one ends."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hyperframe.frame import DataFrame, PingFrame, SettingsFrame

from tests.hbone.stream import Stream
from tests.integration.captured import captured, h2_app, h2_name
from tests.integration.http_rig import Scripted
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


def h2_end(stream: Stream) -> None:
    stream.sendall(b"ok")
    stream.finish()


def test_H2_A_whoever_loses_by_our_ending_a_connection_can_read_why(tmp_path: Path) -> None:
    def serve(stream: Stream, endpoint: Scripted) -> None:
        stream.connection.raw(PingFrame(0, b"12345678").serialize() * 5000)

    with captured(tmp_path, 1, hbone=False, port_name="http2", handler=h2_app(serve)) as one:
        member = one.members[0]
        assert one.ask(method="POST") == "503"
        told = f"endpoints: HTTP/2 broken off with {member.address}: "
        wait_until(lambda: told in one.replica.waypoint.errors())
        member.play(h2_app(h2_name))
        assert one.ask() == "web-0"

"""`bin/waypointd --demo`, used as its own words say."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig import ROOT, Waypoint, get, search, wait_until

NAMES = [f"in-ambient-7d8f9b6c54-{suffix}" for suffix in ("abc12", "def34", "ghi56")]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Waypoint]:
    waypoint = Waypoint(tmp_path, "-w", "2", "--demo", "--drain-time", "1")
    waypoint.start()
    try:
        wait_until(lambda: "Ctrl-C" in told(waypoint), 20, "what to type next")
        yield waypoint
    except BaseException:
        print(told(waypoint))
        raise
    finally:
        assert waypoint.stop() == 0
    assert not copy_of_manifests(waypoint).exists()


def told(waypoint: Waypoint) -> str:
    return waypoint.out.read_text() + waypoint.errors()


def copy_of_manifests(waypoint: Waypoint) -> Path:
    return Path(search(r"^Manifests to edit: (.*)$", told(waypoint), re.M)[1])


def shell(line: str, cwd: Path = ROOT) -> str:
    return subprocess.run(line, shell=True, check=True, cwd=cwd, capture_output=True, text=True).stdout


def pids(waypoint: Waypoint) -> dict[str, int]:
    return {name: int(pid) for pid, name in re.findall(r"^\s*(\d+)\s+(in-ambient-\S+)", told(waypoint), re.M)}


def ask(path: str = "/hostname") -> tuple[int, str]:
    return get(8000, path)


def test_what_the_demo_says_is_what_happens(demo: Waypoint) -> None:
    curl = re.search(r"^\s+(curl \S+)", told(demo), re.M)
    assert curl, told(demo)
    assert [shell(curl[1].replace("curl", "curl -s")).strip() for _ in range(6)] == NAMES * 2
    assert list(pids(demo)) == NAMES

    victim = pids(demo)[NAMES[0]]
    shell(f"kill -USR1 {victim}")
    assert [ask()[0] for _ in range(12)].count(503) == 3
    wait_until(demo.ejections, 2, "the ejection line")

    listing = re.search(r"^\s+(\S*python\S* .*waypointctl .*?)  #", told(demo), re.M)
    assert listing, told(demo)
    assert NAMES[0] in shell(listing[1], demo.directory)
    line = re.search(r"redis-cli -p (\d+) \S.*", told(demo))
    assert line, "the redis-cli line"
    if shutil.which("redis-cli"):
        assert ":eject:127.10.0.15:8080" in shell(f"redis-cli -p {line[1]} --scan --pattern 'waypoint:*'")
        shell(f"redis-cli -p {line[1]} del 'waypoint:{{httpbin/in-ambient:8000}}:eject:127.10.0.15:8080'")
        shell(f"kill -USR2 {victim}")
        wait_until(lambda: NAMES[0] in {ask()[1].strip() for _ in range(3)}, 3, "lifted by hand")


def test_the_same_through_a_tunnel(demo: Waypoint) -> None:
    line = re.search(r"^\s+(\S*python\S* .*waypointctl hbone-get .*)$", told(demo), re.M)
    assert line, told(demo)
    done = subprocess.run(line[1], shell=True, check=True, cwd=demo.directory, capture_output=True, text=True)
    assert done.stdout.strip() in NAMES
    assert "* it is spiffe://cluster.local/ns/httpbin/sa/httpbin-waypoint (" in done.stderr
    assert "< CONNECT answered 200" in done.stderr
    silent = f"{line[1]} --silent"
    assert sorted(shell(silent, demo.directory).strip() for _ in range(3)) == NAMES
    assert shell(f"{silent} --http2", demo.directory).strip() in NAMES
    wait_until(lambda: demo.lines(" in-ambient.httpbin:8000 127.0.0.1:"), 1, "the authority in the log")


def test_the_rule_may_be_deleted(demo: Waypoint) -> None:
    victim = pids(demo)[NAMES[0]]
    shell(f"kill -USR1 {victim}")
    assert [ask()[0] for _ in range(12)].count(503) == 3
    (copy_of_manifests(demo) / "destination-rule.yaml").unlink()
    shell(f"kill -USR2 {victim}")
    wait_until(lambda: NAMES[0] in {ask()[1].strip() for _ in range(3)}, 3, "lifted with its rule")


def test_killed_and_stopped_endpoints(demo: Waypoint) -> None:
    victims = pids(demo)
    shell(f"kill -9 {victims[NAMES[1]]}")
    assert [ask()[0] for _ in range(12)] == [200] * 12, "no client sees it"
    assert len(wait_until(demo.ejections, 2)) == 1
    assert 'workload="in-ambient-7d8f9b6c54-def34"' in demo.ejections()[0]


def test_stopped_endpoint_is_ejected_after_three_abandoned_requests(demo: Waypoint) -> None:
    shell(f"kill -STOP {pids(demo)[NAMES[2]]}")
    abandoned = 0
    began = time.monotonic()
    while not demo.ejections() and time.monotonic() - began < 15:
        abandoned += (
            subprocess.run(
                ["curl", "-s", "--max-time", "2", "http://127.0.0.1:8000/hostname"], check=False, capture_output=True
            ).returncode
            == 28
        )
    assert abandoned == 3
    wait_until(lambda: len(demo.lines(" 0 DC downstream_remote_disconnect ")) == 3, 3, "three lines")
    shell(f"kill -CONT {pids(demo)[NAMES[2]]}")


def test_a_second_demo_says_what_is_in_its_way(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.10.0.16", 8080))
        other.listen()
        waypoint = Waypoint(tmp_path, "--demo")
        waypoint.start()
        assert waypoint.ended(10) == 1
        assert "the demo needs 127.10.0.16:8080: Address already in use" in waypoint.errors()

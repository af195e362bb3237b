"""What is told to people, and what the arbiter may not import."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.arbiter import hints
from proxy.settings import cpus


@pytest.fixture
def no_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://127.0.0.1:6379", "-p 6379"),
        ("redis://redis/0", "-h redis -p 6379"),
        ("redis://redis:1/2", "-u redis://redis:1/2"),
        ("redis://:secret@redis:1/0", "-u redis://:***@redis:1/0"),
    ],
)
def test_how_to_look_into_the_store(clients: None, url: str, server: str) -> None:
    assert hints.redis_cli(url, "mesh") == f"redis-cli {server} --scan --pattern 'mesh:*'"


def test_how_to_get_a_client(no_clients: None) -> None:
    assert hints.redis_cli("redis://127.0.0.1:1", "waypoint").endswith("(no redis-cli here: apt install redis-tools)")


def test_how_to_run_the_other_program() -> None:
    assert hints.waypointctl("redis://127.0.0.1:6379", "ejections").endswith("bin/waypointctl ejections")
    assert hints.waypointctl("", "dev-certs x").endswith("bin/waypointctl dev-certs x")
    assert "--redis redis://127.0.0.1:1 ejections" in hints.waypointctl("redis://127.0.0.1:1", "ejections")


@pytest.mark.parametrize(
    ("text", "most"), [("50000 100000", 1), ("100001 100000", 2), ("max 100000", 10**6), ("", 10**6)]
)
def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, most: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(4))
    (tmp_path / "cpu.max").write_text(text)
    assert cpus.usable(tmp_path / "cpu.max") == min(most, 4)
    assert cpus.usable(tmp_path / "none") == 4


@pytest.mark.parametrize("module", ["proxy.arbiter.arbiter", "proxy.cli", "proxy.demo.demo"])
def test_no_gevent_in_the_first_process(module: str) -> None:
    code = f"import sys, {module}; sys.exit('gevent' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

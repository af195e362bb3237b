"""A worker is read before it is patched: nothing of it may have kept what waits without letting others go on."""

import subprocess
import sys

from tests.rig import ROOT

FORKED = """
from proxy.arbiter.forking import fork, prepare
prepare()
print(fork("tests.unit.ipc.patched", (), (), "patched").wait(30))
"""
HARMLESS = {
    "click.globals.local",  # of command lines, which are read by then
    "redis.asyncio.connection.SSLContext",  # of redis.asyncio, which nobody uses
    "redis.connection.LifoQueue",  # of BlockingConnectionPool, which nobody uses
    "redis.retry.sleep",  # between attempts, of which we make one
}


def test_nobody_keeps_what_gevent_replaces() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    *found, status = done.stdout.split()
    assert status == "0"
    assert set(found) <= HARMLESS, "ask the module for it where it is needed"
    assert done.stderr == "", "gevent warns of nothing"

"""What runs on a loop is handed it: nothing in the middle of the fleet's code knows a clock, a greenlet or chance."""

import ast
from pathlib import Path

import gevent
import pytest

from proxy import fleet
from proxy.fleet.gevent_loop import GeventLoop
from state.errors import StoreUnavailable

FOLDER = Path(fleet.__file__).parent
THE_MACHINES = {"gevent", "time", "random", "threading", "redis", "socket"}
EDGES = {"gevent_loop.py", "budget.py", "operator_door.py"}
"""The loop itself, and what the controller is asked by people."""


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_the_machine_is_known_at_the_edges_only() -> None:
    assert {path.name for path in FOLDER.glob("*.py") if imported(path) & THE_MACHINES} == EDGES


def test_gevents_loop() -> None:
    loop = GeventLoop()
    flag, order = loop.flag(), list[str]()
    loop.spawn_later(0.02, order.append, "later")
    loop.spawn(order.append, "soon")
    loop.spawn_later(0.03, flag.set)
    began = loop.now_ms()
    with gevent.Timeout(5):
        flag.wait()
    assert (order, flag.is_set()) == (["soon", "later"], True)
    assert loop.now_ms() >= began
    assert 0 <= loop.chance() <= 1
    with pytest.raises(StoreUnavailable, match="no connection within 10 ms"), loop.within(10, "no connection"):
        loop.sleep(5)

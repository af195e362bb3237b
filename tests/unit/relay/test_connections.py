"""What a worker does with client connections, whatever becomes of one."""

import gevent
import pytest

from proxy.relay.hbone import HboneListener
from proxy.scoreboard.scoreboard import Scoreboard
from tests.relay_rig import relay


def test_a_fault_of_ours_on_one_connection_is_told_and_ends_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    hub = gevent.get_hub()
    monkeypatch.setattr(hub, "handle_error", lambda context, kind, value, trace: told.append(kind))
    board = Scoreboard.create()
    listener = HboneListener(relay(board), "name", "127.0.0.1:1", -1, lambda fd, slot, address: False)
    board.workers.add_connections(0, 2)
    for _ in range(2):
        listener.take(-1)  # and there is no certificate to shake hands with
    gevent.sleep(0.01)
    assert told == [AttributeError] * 2
    assert board.workers.row(0).connections == 0

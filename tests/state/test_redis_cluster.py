"""The rules of Redis Cluster: what a script touches is in one slot. One node that owns all slots checks that, too."""

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from socket import socket

import pytest
from state_rig import CLUSTER, KEYS, A, B, Rig

from state import embedded
from state.embedded import Embedded
from state.operator import Operator, Order
from state.redis_store import RedisStore, connect

Start = Callable[..., Embedded]


def test_every_script_keeps_to_one_slot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, start: Start) -> None:
    with closing(socket()) as bus:
        bus.bind(("127.0.0.1", 0))
        bus_port = str(bus.getsockname()[1])
    options = (
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        str(tmp_path / "nodes.conf"),
        "--cluster-port",
        bus_port,
    )
    monkeypatch.setattr(embedded, "OPTIONS", (*embedded.OPTIONS, *options))
    server = start()
    with connect(server.url, 2.0) as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        while "cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            time.sleep(0.01)
        rig = Rig(RedisStore(client), lambda ms: None, client)
        rig.report("FFF")
        assert rig.report("FFF", B).outcome == "overflow"
        client.delete(KEYS.eject(A))
        assert rig.store.sync(CLUSTER, [A, B]).ejections == ()
        assert rig.offer(B, generation=3).outcome == "ejected"
        rig.store.forget(CLUSTER, B, "pod-a")
        assert rig.ejected() == frozenset()
        rig.store.sync(CLUSTER, [A, B], "consecutive_5xx=3 addresses=10.10.0.16:8080/pod-a")
        operator, order = Operator(client), Order(CLUSTER, A, "alice")
        assert operator.eject(order).changed == "ejected"
        assert rig.store.glance(CLUSTER, [A, B]).left_ms.keys() == {A}
        assert [each.endpoint for each in operator.explain(CLUSTER).reports] == [A]
        assert [each.endpoint for each in operator.ejections()] == [A]
        assert operator.uneject(order).changed == "unejected"

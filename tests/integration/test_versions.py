"""After an upgrade under a running replica: processes started before and after it do not understand each other's
snapshots, say so, and break nothing. This test is the other process, and of another version."""

import os
from pathlib import Path

import msgpack

from proxy.controller.forms import cluster_form
from proxy.ipc.channel import read_body, write_body
from proxy.ipc.snapshot import VERSION, body, pack, unpack
from proxy.mesh.model import Cluster
from tests.integration.process_rig import controller_alone, worker_alone
from tests.manifests import Manifests, gateway
from tests.rig import free_port

OTHER = f"it has the form of another version of waypointd ({VERSION - 1}, here {VERSION})"
REMEDY = "restart it as a whole"
OF_ANOTHER_VERSION = bytes(msgpack.packb({**body(3, True, [], [], []), "version": VERSION - 1}))


def test_a_controller_does_not_go_on_with_what_one_of_another_version_kept(tmp_path: Path) -> None:
    port = free_port()
    Manifests(tmp_path).put("gateway", gateway(port))
    with controller_alone(tmp_path) as controller:
        kept = write_body(OF_ANOTHER_VERSION)
        controller.channel.send({"op": "kept"}, [kept])
        os.close(kept)
        asked, _ = controller.hear()
        assert asked == {"op": "bind", "address": f"127.0.0.1:{port}"}, "it begins from the files"
        assert controller.said(f"what the former controller kept is of no use: {OTHER}")
        assert controller.said(REMEDY)
        controller.channel.send({"op": "bound", "address": asked["address"], "error": "not today"})
        told, (fd,) = controller.hear()
        assert told == {"op": "keep"}
        assert unpack(read_body(fd))["number"] == 1
        os.close(fd)


def test_a_worker_takes_no_snapshot_of_another_version_and_the_next_one_it_understands(tmp_path: Path) -> None:
    with worker_alone(tmp_path) as worker:
        cluster = cluster_form(Cluster("a", "a", "a", ()), worker.board.clusters.add("a"), [])
        worker.send_snapshot(3, OF_ANOTHER_VERSION)
        worker.apply(4, pack(body(4, True, [cluster], [], [])))
        assert worker.said(f"snapshot 3 cannot be applied: {OTHER}")
        assert worker.said(REMEDY)
        assert not worker.said("Traceback")

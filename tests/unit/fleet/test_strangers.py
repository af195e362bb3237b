"""Another fleet's word in our keys."""

import pytest

from proxy.controller.forms import cluster_form
from proxy.fleet.clusters import Cluster, cluster_of
from proxy.fleet.strangers import APART_MS, Strangers
from proxy.mesh import model
from proxy.mesh.traffic.outlier import OutlierDetection
from proxy.mesh.traffic.policy import EffectivePolicy
from state.operating.rule import parse
from tests.unit.fleet.fleet_fakes import NAME


def cluster_with(*addresses: str) -> Cluster:
    endpoints = tuple(model.Endpoint(each.partition(":")[0], 80, "pod") for each in addresses)
    policy = EffectivePolicy(outlier_detection=OutlierDetection(3, 1000, 30_000, 50), rule="httpbin/rule")
    made = cluster_of(cluster_form(model.Cluster(NAME, NAME, NAME, endpoints, policy), 0, list(range(len(endpoints)))))
    assert made is not None
    return made


C = cluster_with("10.0.0.1:80", "10.0.0.2:80")
PARTLY = cluster_with("10.0.0.2:80", "10.0.0.3:80")
OTHER = cluster_with("10.9.0.1:80")


def told(mesh: str, cluster: Cluster) -> str:
    return Strangers(mesh).told_by_us(cluster)


def test_the_text_says_whose_it_is() -> None:
    assert parse(told("cluster.local/east 1", C)).mesh == "cluster.local/east 1"
    assert told("", C) == C.rule


def test_another_mesh_is_told_of_once() -> None:
    strangers = Strangers("east")
    assert strangers.warning(C, "", 0) == strangers.warning(C, told("east", OTHER), 0) == ""
    text = strangers.warning(C, told("west", C), 0)
    assert "(west; ours is east)" in text and "--mesh-id" in text
    assert strangers.warning(C, told("west", C), 1) == strangers.warning(OTHER, told("west", OTHER), 2) == ""
    assert "(south;" in strangers.warning(C, told("south", C), 3)


@pytest.mark.parametrize(("ours", "theirs"), [("", "west"), ("east", ""), ("", "")])
def test_no_id_contradicts_none(ours: str, theirs: str) -> None:
    assert Strangers(ours).warning(C, told(theirs, PARTLY), 0) == ""


def test_quite_other_endpoints_are_told_of_when_they_stay() -> None:
    strangers = Strangers("")
    assert strangers.warning(C, told("", OTHER), 0) == ""
    assert strangers.warning(C, "", 1) == ""  # nobody has told in between
    assert strangers.warning(C, told("", OTHER), APART_MS - 1) == ""
    assert "none of its endpoints" in strangers.warning(C, told("", OTHER), APART_MS)
    assert strangers.warning(C, told("", OTHER), 2 * APART_MS) == ""


def test_endpoints_that_are_all_replaced_are_no_strangers() -> None:
    strangers = Strangers("")
    for day in range(3):
        old = cluster_with(f"10.0.{day}.1:80")
        assert strangers.warning(cluster_with(f"10.0.{day + 1}.1:80"), told("", old), day * 86_400_000) == ""


def test_clusters_that_are_gone_are_forgotten() -> None:
    strangers = Strangers("")
    strangers.warning(C, told("", OTHER), 0)
    strangers.retain([])
    assert strangers.warning(C, told("", OTHER), APART_MS) == ""

"""Tests in a real cluster, which scripts/cluster starts (`make test-cluster`); elsewhere they are skipped."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.api_rig import Api, Shop
from tests.cluster.kit.cluster import FOLDER_VARIABLE, Cluster

_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever is here needs the API server; marks say what more."""
    if FOLDER_VARIABLE in os.environ:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="no cluster: make test-cluster"))


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster that this run is in."""
    return Cluster.running()


@pytest.fixture
def api(cluster: Cluster) -> Api:
    return Api(cluster)


@pytest.fixture
def shop(api: Api, tmp_path: Path) -> Iterator[Shop]:
    """A namespace of the test's own with a Gateway, a Service, endpoints that answer, and no replica yet."""
    with Shop.made(api, f"shop-{os.getpid()}-{next(_numbers)}", tmp_path) as made:
        yield made

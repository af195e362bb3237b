"""Whether endpoints are sent HTTP/2: by what the port declares and what the rule says (Istio's shouldH2Upgrade)."""

import pytest

from proxy.mesh.model import Cluster
from proxy.mesh.traffic.connections import ConnectionPool, H2UpgradePolicy, HttpPool
from proxy.mesh.traffic.policy import EffectivePolicy

DEFAULT, NOT, UPGRADE = H2UpgradePolicy.DEFAULT, H2UpgradePolicy.DO_NOT_UPGRADE, H2UpgradePolicy.UPGRADE


@pytest.mark.parametrize(
    ("protocol", "policy", "as_client", "sent"),
    [
        ("http", DEFAULT, False, "never"),
        ("http", NOT, False, "never"),
        ("http", UPGRADE, False, "always"),
        ("http", DEFAULT, True, "as_client"),
        ("http2", DEFAULT, False, "always"),
        ("http2", NOT, False, "always"),
        ("http2", NOT, True, "as_client"),
        ("undeclared", DEFAULT, False, "as_client"),
        ("undeclared", NOT, False, "as_client"),
        ("undeclared", UPGRADE, False, "always"),
    ],
)
def test_http2(protocol: str, policy: H2UpgradePolicy, as_client: bool, sent: str) -> None:
    http = HttpPool(h2_upgrade_policy=policy, use_client_protocol=as_client)
    effective = EffectivePolicy(connection_pool=ConnectionPool(http=http))
    assert Cluster("web", "web", "web:80", (), effective, protocol=protocol).http2 == sent

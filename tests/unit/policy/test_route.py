"""What of a request says where it goes."""

from proxy.policy.shapes import BY_HOST, BY_TARGET, NOWHERE, Facts
from tests.unit.policy.interpreted import interpreted

place_of = interpreted("route").place_of


def test_the_host_only_where_there_is_no_tunnel() -> None:
    assert place_of(Facts(tunnelled=False, connect=False)) == BY_HOST
    assert place_of(Facts(tunnelled=True, connect=False)) == BY_TARGET


def test_a_connect_among_requests_goes_nowhere() -> None:
    assert place_of(Facts(tunnelled=False, connect=True)) == NOWHERE
    assert place_of(Facts(tunnelled=True, connect=True)) == NOWHERE

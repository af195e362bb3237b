"""What is said of single objects that cannot be used, by object."""

from proxy.mesh.reading.manifests import Body
from proxy.mesh.resolving.live import Live
from proxy.mesh.resolving.load import Loader

NAMED: Body = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "DestinationRule",
    "metadata": {"name": "r", "namespace": "n"},
}


def test_refusals_say_what_is_wrong_without_naming_the_object() -> None:
    """They are read by whoever is looking at it."""
    live = Live(Loader("n/way"), "kubernetes")
    live.put("r", NAMED | {"spec": {"host": "*.*"}})
    text = live.refusals()["r"]
    assert text.startswith("spec.host: must be") and "DestinationRule" not in text
    assert text.endswith("; it is left out until that is mended") and "\n" not in text
    live.put("r", NAMED | {"spec": {"host": "pay"}})
    assert live.refusals() == {}
    live.put("r", NAMED | {"spec": {"host": "*.*"}})
    assert live.refusals()["r"].endswith("; its last good version stays in force")
    live.drop("r")
    assert live.refusals() == {}

"""What runs as a Gateway of the gateway profile: waypointd, but for Gateways that have HTTPS listeners only.

Those are not served, so that waypointd would never be ready; and the suite waits for every Gateway in its namespace, be
it another test's. Their place is held by a Pod that is only ready: no test of HTTPS is among those that we ask for.
"""

import os
import sys
import time

from proxy.kubernetes.api.client import Client
from proxy.kubernetes.api.faults import ApiFault
from proxy.kubernetes.api.find import find
from proxy.kubernetes.source.kinds import GATEWAYS

WAYPOINTD = f"{os.environ['PYTHONPATH']}/bin/waypointd"


def protocols() -> set[str]:
    """Of the listeners of the Gateway that this is."""
    namespace, _, name = os.environ["WAYPOINT_GATEWAY"].partition("/")
    client = Client(find("", "", os.environ))
    while True:
        try:
            gateway = client.get(GATEWAYS.path(namespace, name))
        except ApiFault as fault:  # its rights are made just now
            print(fault, flush=True)
            time.sleep(0.5)
        else:
            return {each["protocol"] for each in gateway["spec"]["listeners"]}


if __name__ == "__main__":
    words = ["-m", "tests.cluster.kit.ready"] if protocols() == {"HTTPS"} else [WAYPOINTD, *sys.argv[1:]]
    os.execv(sys.executable, [sys.executable, *words])

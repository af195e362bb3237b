"""What runs as a Gateway of the gateway profile: waypointd, but for Gateways whose listeners are HTTPS.

Those are not served, so that waypointd would never be ready; the suite's set-up waits for one of them. Its place is
held by a Pod that is only ready, and no test of HTTPS is among those we ask for.
"""

import os
import sys

WAYPOINTD = f"{os.environ['PYTHONPATH']}/bin/waypointd"

if __name__ == "__main__":
    https = os.environ["WAYPOINT_GATEWAY"].endswith("https-listener")
    words = ["-m", "tests.cluster.kit.ready"] if https else [WAYPOINTD, *sys.argv[1:]]
    os.execv(sys.executable, [sys.executable, *words])

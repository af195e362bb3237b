# cython: annotation_typing=False
"""What of a request says where it goes. Pure; what is there under a name is the caller's knowledge (the snapshot's).

In a tunnel the CONNECT authority does, since Istio's waypoint picks the Service by the address that was asked for, and
the Host in it selects nothing; without one, the Host. A CONNECT among requests asks for a tunnel that we do not open.
"""

from proxy.policy import shapes
from proxy.policy.shapes import BY_HOST, BY_TARGET, NOWHERE


def place_of(facts: shapes.Facts) -> int:
    """BY_TARGET, BY_HOST or NOWHERE."""
    if facts.connect:
        return NOWHERE
    if facts.tunnelled:
        return BY_TARGET
    return BY_HOST

"""How many cases are compared with the reference: `WAYPOINT_CASES=100000` for the slow tests."""

import os

EACH = 50
"""Requests under one set of objects."""
FEW = 8
MANY = int(os.environ.get("WAYPOINT_CASES", "10000")) // EACH

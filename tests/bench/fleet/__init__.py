"""The fleet benchmark: replicas of waypointd that share their ejections, beside as many Envoys. `make bench-fleet`."""

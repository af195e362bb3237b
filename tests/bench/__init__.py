"""The benchmark: what a request costs waypointd and Envoy, measured in turns on the same work. `make bench`."""

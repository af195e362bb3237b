"""What a waypoint wants to know of a cluster: which watches (`plan`), their objects one by one (`source`)."""

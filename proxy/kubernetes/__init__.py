"""The Kubernetes API: how to speak to it (`api`), and what a waypoint wants to know of it (`source`)."""

"""`waypointd --demo`: its manifests and its sample endpoints (`python -m proxy.demo.endpoint`)."""

"""waypointctl: tools for people who run waypointd. Each command is a module of its own; cli.py puts them together."""

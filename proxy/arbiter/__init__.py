"""The first process of a replica: spawns, reaps, signals, drains, binds sockets. Parses and serves nothing."""

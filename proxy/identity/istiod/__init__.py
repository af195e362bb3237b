"""Certificates that istiod signs: asked for over its gRPC, with a new key each time, long before the last one ends."""

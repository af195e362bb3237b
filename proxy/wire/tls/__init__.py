"""Mesh TLS, by libssl: contexts, a stream over one, whom we deal with and why a handshake failed."""

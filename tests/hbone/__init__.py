"""Peers for tests of HBONE: a source and a destination ztunnel, Envoys that play them, a mesh's certificates."""

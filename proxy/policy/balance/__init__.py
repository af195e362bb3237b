"""How an endpoint is chosen among those that are in; a file an algorithm."""

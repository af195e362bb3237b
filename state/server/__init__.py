"""How to get to Redis: URLs, connections, Sentinels, a Cluster, the embedded server, what is wrong with a server."""

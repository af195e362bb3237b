"""Ways to an endpoint: clusters as a worker sees them, pools of connections, HTTP/2 connections that many share."""

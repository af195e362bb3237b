"""HTTP/2 over any stream, by nghttp2: connections, streams, tunnels, and messages as HTTP/1.1 text (RFC 9113)."""

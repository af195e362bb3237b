"""Bytes: streams over sockets, their buffers and their clock. What they mean stands in http, http2 and tls."""

"""A request from accept to log line."""

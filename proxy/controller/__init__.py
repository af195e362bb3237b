"""The process that knows the configuration (`python -m proxy.controller`): reads, sends, tells of it."""

"""The process that serves (`python -m proxy.worker`): listeners, the data path, its part of the fleet's state."""

"""Limits that all replicas keep together: how much of what a cluster may have at once is whose share."""

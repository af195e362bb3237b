"""A client of the Kubernetes API: requests, watches that are never lost, Leases. Knows no kind and decides nothing."""

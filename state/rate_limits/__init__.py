"""Rate limits that all replicas keep together: how many requests each may let in, in advance."""

"""Objects to one snapshot of the mesh: which Gateway, which Services, their clusters, routes, endpoints, rules."""

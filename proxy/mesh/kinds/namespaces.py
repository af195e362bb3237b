"""Namespaces that mean something to every kind."""

ROOT_NAMESPACE = "istio-system"
"""Istio's root namespace: what stands there may concern the whole mesh (MeshConfig.rootNamespace)."""

"""Where manifests come from. The only rooms of the mesh that touch the machine."""

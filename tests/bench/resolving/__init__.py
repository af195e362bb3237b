"""What it takes from manifests to a snapshot of the mesh, from nothing and after one change, by the mesh's size."""

"""What the mesh is: manifests to one snapshot. Pure but for `sources`; model.py is the ground of its rooms."""

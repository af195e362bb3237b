"""Who we are in the mesh: certificates, read, checked, followed, and made for a mesh on one machine."""

"""What a change of the mesh costs the controller, the channel and a worker's loop, by the size of the mesh."""

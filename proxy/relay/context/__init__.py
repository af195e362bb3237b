"""What all exchanges of a worker share, each in a file of its own; `Context` holds them together."""

"""One file a kind of object: what its fields may be, and what is read of it. No kind knows how it is resolved."""

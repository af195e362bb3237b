"""One request and its answer: its attempts, the answer that goes back, and the line that is written of it."""

"""What people see of the state and do to it, over Redis alone: viewer, operator, history, explain."""

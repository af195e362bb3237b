"""What to do, decided: pure, compiled as it stands, and interpreted by tests. Imports nothing of ours."""

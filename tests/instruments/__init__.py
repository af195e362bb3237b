"""Compiled looks into the compiled part, for tests only: what a parser saw, what a session did. Never installed."""

"""Deploys a waypoint for each Gateway of our class, and says in its status what has come of it."""

"""Since when the fleet knows an endpoint, so that it warms up once and not once in each replica."""

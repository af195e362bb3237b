BUCKETS_MS: tuple[int, ...]
BOUNDS_OF_ISTIO: tuple[float, ...]

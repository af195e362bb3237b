BUCKETS_MS: tuple[int, ...]

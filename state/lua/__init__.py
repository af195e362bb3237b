"""The scripts that decide inside Redis, one file each; `state.redis_store` loads them with `common.lua` in front."""

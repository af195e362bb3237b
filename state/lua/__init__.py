"""The scripts that decide inside Redis, one file each; `state.scripts` puts `common.lua` and `cluster.lua` in front."""

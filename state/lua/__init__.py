"""The scripts that decide inside Redis, one file each; `state.scripts` loads them with `common.lua` in front."""

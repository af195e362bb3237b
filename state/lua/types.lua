-- types.lua: what keys hold, for the warning about keys that are not ours.
-- KEYS   any of one cluster
-- ARGV   none
-- reply  their types, in order: none, string, hash, zset, stream, ...

local types = {}
for i, key in ipairs(KEYS) do types[i] = redis.call('TYPE', key).ok end
return types

-- cmsgpack.lua: what every Redis and Valkey has and fakeredis has not: `unpack`, for maps, texts, whole numbers, booleans.
-- Required by fakeredis (state_rig.py). The same tests run over real servers, which have their own.

local byte, sub = string.byte, string.sub

local function whole(text, at, bytes)
  local value = 0
  for i = at, at + bytes - 1 do value = value * 256 + byte(text, i) end
  return value, at + bytes
end

local function signed(text, at, bytes)
  local value, rest = whole(text, at, bytes)
  local most = 256 ^ bytes
  return value >= most / 2 and value - most or value, rest
end

local function words(text, at, length)
  return sub(text, at, at + length - 1), at + length
end

local value

local function map(text, at, size)
  local made = {}
  for _ = 1, size do
    local name
    name, at = value(text, at)
    made[name], at = value(text, at)
  end
  return made, at
end

local function sized(read, bytes)
  return function(text, at)
    local length, rest = whole(text, at, bytes)
    return read(text, rest, length)
  end
end

local function fixed(read, bytes)
  return function(text, at) return read(text, at, bytes) end
end

local KINDS = {
  [0xc2] = function(_, at) return false, at end, [0xc3] = function(_, at) return true, at end,
  [0xcc] = fixed(whole, 1), [0xcd] = fixed(whole, 2), [0xce] = fixed(whole, 4), [0xcf] = fixed(whole, 8),
  [0xd0] = fixed(signed, 1), [0xd1] = fixed(signed, 2), [0xd2] = fixed(signed, 4), [0xd3] = fixed(signed, 8),
  [0xd9] = sized(words, 1), [0xda] = sized(words, 2), [0xdb] = sized(words, 4), [0xde] = sized(map, 2),
}

value = function(text, at)
  local kind = byte(text, at)
  if kind < 0x80 then return kind, at + 1 end
  if kind < 0x90 then return map(text, at + 1, kind - 0x80) end
  if kind >= 0xe0 then return kind - 0x100, at + 1 end
  if kind >= 0xa0 and kind < 0xc0 then return words(text, at + 1, kind - 0xa0) end
  return assert(KINDS[kind], 'cmsgpack.lua: a kind that no script of ours is sent')(text, at + 1)
end

return { unpack = function(text) return (value(text, 1)) end }

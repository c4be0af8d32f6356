-- commit: makes a complete set of chunks the newest version of a list.
--
-- KEYS[1]  versions hash: last, and for each kept version N its record (N)
--          and the id of its chunks (N:data)
-- KEYS[2]  chunks of the new version (a hash); its name ends in the id
-- ARGV[1]  the version that the new one was made from, or "" for any
-- ARGV[2]  number of chunks
-- ARGV[3]  how many versions are kept
-- ARGV[4]  id of the chunks
-- ARGV[5]  record of the version
--
-- Result: the version's number; -1 when another one was committed since
-- ARGV[1]; -2 when chunks are missing.
--
-- Atomic, so that a reader finds a version whole or not at all, two writers
-- cannot both build on the same one, and chunks go with the last version that
-- uses them. Sent again with the same id, it answers the same.
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or '0')
if last > 0 and redis.call('HGET', KEYS[1], last .. ':data') == ARGV[4] then
  return last
end
if ARGV[1] ~= '' and tonumber(ARGV[1]) ~= last then
  return -1
end
if redis.call('HLEN', KEYS[2]) ~= tonumber(ARGV[2]) then
  return -2
end
redis.call('PERSIST', KEYS[2])
local n = last + 1
redis.call('HSET', KEYS[1], 'last', n, n, ARGV[5], n .. ':data', ARGV[4])

local keep = tonumber(ARGV[3])
local drop = n - keep
local id = redis.call('HGET', KEYS[1], drop .. ':data')
if id then
  redis.call('HDEL', KEYS[1], drop, drop .. ':data')
  local used = false
  for v = drop + 1, n do
    used = used or redis.call('HGET', KEYS[1], v .. ':data') == id
  end
  if not used then
    -- the same slot: the name differs from KEYS[2] behind the hash tag only
    redis.call('UNLINK', string.sub(KEYS[2], 1, string.len(KEYS[2]) - string.len(ARGV[4])) .. id)
  end
end
return n

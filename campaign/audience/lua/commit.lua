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
-- ARGV[6]  how many of the versions are kept that people have made who put themselves on
--          the list; ARGV[3] is about the others
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

-- what goes: of each of the two kinds the oldest ones that are too many
local all = redis.call('HGETALL', KEYS[1])
local numbers = {}
local value = {}
for i = 1, #all, 2 do
  value[all[i]] = all[i + 1]
  local v = tonumber(all[i])
  if v then
    table.insert(numbers, v)
  end
end
table.sort(numbers, function(a, b) return a > b end)
local keep = {[true] = tonumber(ARGV[6]), [false] = tonumber(ARGV[3])}
local used = {}
local gone = {}
for _, v in ipairs(numbers) do
  -- within a text of the record the quotes would have a backslash in front
  local joined = string.find(value[tostring(v)], '"change":"subscribe"', 1, true) ~= nil
  local id = value[v .. ':data']
  if keep[joined] > 0 or v == n then
    keep[joined] = keep[joined] - 1
    if id then
      used[id] = true
    end
  else
    redis.call('HDEL', KEYS[1], v, v .. ':data')
    if id then
      table.insert(gone, id)
    end
  end
end
for _, id in ipairs(gone) do
  if not used[id] then
    -- the same slot: the name differs from KEYS[2] behind the hash tag only
    redis.call('UNLINK', string.sub(KEYS[2], 1, string.len(KEYS[2]) - string.len(ARGV[4])) .. id)
  end
end
return n

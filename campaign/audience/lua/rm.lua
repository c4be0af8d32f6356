-- rm: removes a list with all its versions.
--
-- KEYS[1]  versions hash
-- ARGV[1]  name of a chunk key without the id; in the slot of KEYS[1]
--
-- Result: how many versions there were.
--
-- Atomic, so that a version committed in the meantime is removed whole or not at all.
local n = 0
local all = redis.pcall('HGETALL', KEYS[1])
if all.err then -- the key holds something else: it goes
  redis.call('UNLINK', KEYS[1])
  return 1
end
for i = 1, #all, 2 do
  if string.sub(all[i], -5) == ':data' then
    redis.call('UNLINK', ARGV[1] .. all[i + 1])
    n = n + 1
  end
end
redis.call('UNLINK', KEYS[1])
return n

#!lua flags=allow-oom
-- Notes which run each of some references stands for.
--
-- KEYS[1]  hash: reference -> run
-- ARGV[1]  how many runs it takes at most
-- ARGV     then for each: reference, run
-- returns  for each 1 when the reference stands for this run now, 0 when it stands for
--          another one, or there was no room
--
-- Atomic because of two writers at once one must see what the other has noted.
-- Idempotent. Allowed when Redis is out of memory, as the entry itself is.
local most, out = tonumber(ARGV[1]), {}
for k = 2, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[k])
  if not known and redis.call('HLEN', KEYS[1]) < most then
    redis.call('HSET', KEYS[1], ARGV[k], ARGV[k + 1])
    known = ARGV[k + 1]
  end
  out[#out + 1] = known == ARGV[k + 1] and 1 or 0
end
return out

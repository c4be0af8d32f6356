-- Counts a sign that an address is dead which counts only when it comes again.
--
-- KEYS[1]  hash: 16 bytes of the address's hash -> "count last", last in Unix
--          milliseconds
-- ARGV     field; how many signs it takes; now, Unix milliseconds; how far they
--          must lie apart; how long the hash lives after the last one
-- returns  1 when this was the last sign that it took, else 0
--
-- Atomic because two workers may see a sign at the same time: it is one.
local field, wanted, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local value = redis.call('HGET', KEYS[1], field)
local count, last = string.match(value or '', '^(%d+) (%d+)$')
count = tonumber(count) or 0
if last and now - tonumber(last) < tonumber(ARGV[4]) then return 0 end
count = count + 1
if count >= wanted then
  redis.call('HDEL', KEYS[1], field)
  return 1
end
redis.call('HSET', KEYS[1], field, string.format('%d %.0f', count, now))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 0

#!lua flags=allow-oom
-- Closes an account; the closing ends by itself.
--
-- KEYS[1]  the account: hash with code, reason, worker, since and until
-- ARGV     until (ms since 1970), now (ms), code, worker, reason, time to live (ms)
-- result   1 when it was open before, else 0
-- Atomic because a later end wins, and the first closing says since when.
local key, ends, now = KEYS[1], ARGV[1], ARGV[2]
local old, began = unpack(redis.call('HMGET', key, 'until', 'since'))

local first, since = 1, now
old = tonumber(old or '') or 0
if old > tonumber(now) then
  if old >= tonumber(ends) then return 0 end
  first, since = 0, began or now
end

redis.call('HSET', key, 'code', ARGV[3], 'reason', ARGV[5], 'worker', ARGV[4], 'since', since, 'until', ends)
redis.call('PEXPIRE', key, ARGV[6])
return first

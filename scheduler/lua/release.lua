-- release: gives a claim back, the occurrence is not done.
--
-- KEYS  1 schedule (hash)
-- ARGV  1 holder  2 pause in ms before it may be claimed again  3 what is in the way, or ''
-- Returns 1, or 0 when the claim was not held.
--
-- Atomic, so that the claim of another stays.
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
redis.call('HDEL', KEYS[1], 'holder', 'firing')
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'trouble', ARGV[3]) end
return 1

-- hold: makes a claim last longer.
--
-- KEYS  1 schedule (hash)
-- ARGV  1 holder  2 lease in ms
-- Returns {1, now in ms} when the claim is held; {0, now} when another took it; {-1, now}
--         when the schedule is gone.
--
-- Atomic, so that a claim that another took is not taken back.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local f = redis.call('HMGET', KEYS[1], 'schedule', 'holder')
if not f[1] then return {-1, now} end
if f[2] ~= ARGV[1] then return {0, now} end
redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[2]))
return {1, now}

-- claim: takes the first due occurrence that no scheduler is firing.
--
-- KEYS  1 due (sorted set: id by next occurrence)
-- ARGV  1 holder  2 lease in ms  3 name of a schedule key without the id
-- Returns {id, version, occurrence in ms, now in ms, schedule as JSON}, or nothing.
--
-- Atomic, so that of two schedulers one has the occurrence. A schedule has one
-- occurrence under way at a time. A claim that is not renewed ends by itself: its
-- holder has died, and the next one makes up for it. Sent again by the same holder
-- it answers the same. The schedules' keys are in the slot of KEYS[1].
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)
for _, id in ipairs(due) do
  local key = ARGV[3] .. id
  local f = redis.pcall('HMGET', key, 'schedule', 'version', 'next', 'until', 'holder')
  if f.err then
    -- The key holds something else: the others are fired all the same.
  elseif not f[1] then
    redis.call('ZREM', KEYS[1], id)
  elseif not f[4] or tonumber(f[4]) <= now or f[5] == ARGV[1] then
    redis.call('HSET', key, 'holder', ARGV[1], 'until', now + tonumber(ARGV[2]), 'firing', f[3])
    return {id, f[2], f[3], now, f[1]}
  end
end
return {}

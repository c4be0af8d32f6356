-- Counts one connection more for a worker, if the limit of the account allows it.
--
-- KEYS[1]  connections of the account: hash worker -> count
-- KEYS[2]  mark that somebody was refused: 0, or among how many workers the
--          limit is to be shared when that one had less than its share
-- ARGV     worker, how many it holds already, limit (0: none)
-- result   1, or 0 when the limit is reached
-- Atomic because the sum over all workers is compared and changed. The worker's
-- count is written as a number, not incremented: sent twice, it changes nothing.
local sum, workers = 0, 1
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local n = tonumber(all[i + 1])
  if all[i] ~= ARGV[1] and n > 0 then sum, workers = sum + n, workers + 1 end
end
local count, limit = tonumber(ARGV[2]) + 1, tonumber(ARGV[3])
if limit > 0 and sum + count > limit then
  if count - 1 < math.floor(limit / workers) then
    redis.call('SET', KEYS[2], workers, 'PX', 5000)
  elseif (redis.call('GET', KEYS[2]) or '0') == '0' then
    redis.call('SET', KEYS[2], '0', 'PX', 5000)
  end
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], count)
redis.call('EXPIRE', KEYS[1], 172800)
return 1

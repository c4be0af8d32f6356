-- told: what receivers of webhooks were told of a run.
--
-- KEYS  1 record  2 told: "receiver:part" -> a bit for each recipient; "*name" -> 1
-- ARGV  1... field, value pairs
-- Returns 1 when it was written, 0 when there is no such run.
--
-- Atomic so that what is written after the run was retired ends with it.
if redis.call('HEXISTS', KEYS[1], 'created') == 0 then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV))
local left = redis.call('PTTL', KEYS[1])
if left > 0 and redis.call('PTTL', KEYS[2]) == -1 then redis.call('PEXPIRE', KEYS[2], string.format('%d', left)) end
return 1

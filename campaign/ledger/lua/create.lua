-- create: a run record, once. The id is taken by the first.
--
-- KEYS  1 record
-- ARGV  1... field, value pairs
-- Returns 1 when it was created, 0 when it exists.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'expanding', unpack(ARGV))
return 1

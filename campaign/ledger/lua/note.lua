-- note: fields of a run's record, when the run exists. A plain HSET would make
-- a record of a run that has just expired, which would never be removed.
-- Allowed when Redis is out of memory: guards go on watching.
--
-- KEYS  1 record
-- ARGV  1... field, value pairs
-- Returns 1 when they were written, 0 when there is no such run.
if redis.call('HEXISTS', KEYS[1], 'created') == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1

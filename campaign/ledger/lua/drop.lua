-- drop: a run that never became ready, as if it had not been created.
--
-- KEYS  1 record  2 counts
-- Returns 1 when it was dropped, 0 when it is ready: then it stays.
if redis.call('HGET', KEYS[1], 'attempt') then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
return 1

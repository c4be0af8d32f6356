-- discard: what an expansion has written, unless the run goes by it.
--
-- KEYS  1 record  2... the keys of the attempt
-- ARGV  1 attempt
-- Returns 1 when it is gone, 0 when the run is ready with it: then it stays.
if redis.call('HGET', KEYS[1], 'attempt') == ARGV[1] then return 0 end
for i = 2, #KEYS do redis.call('DEL', KEYS[i]) end
return 1

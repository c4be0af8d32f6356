-- takeoff: off the list of workers, when its counter is still what the
-- observer saw; the generation tells feeders to issue again at once.
--
-- KEYS  1 workers  2 generation of deaths
-- ARGV  1 worker  2 the value that was seen
-- Returns 1 when it was taken off, else 0.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('INCR', KEYS[2])
return 1

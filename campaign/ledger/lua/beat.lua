-- beat: a heartbeat on the list of workers, also when Redis is out of memory: a
-- worker that only waits for room must not be taken for dead.
--
-- KEYS  1 workers
-- ARGV  1 worker  2 heartbeat
-- Returns 1.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1

-- put: stores a schedule whose files are complete, in place of the one with
-- the same id.
--
-- KEYS  1 due (sorted set: id by next occurrence)  2 ids (set)  3 schedule (hash)  4 its files (hash)
-- ARGV  1 id  2 version  3 schedule as JSON  4 next occurrence in ms  5 number of pieces of its files
--       6 name of a files key without the version  7 how long old files are kept, in ms
--       8 how many schedules there may be  9 when that occurrence has passed, in ms, if it is later than it comes
-- Returns {1, JSON of the schedule that it replaces, or ''}; {0, ''} when pieces are missing;
--         {-1, ''} when the next occurrence has passed by now; {-2, ''} when there are too many.
--
-- Atomic, so that a schedule is seen whole or not at all, and never without its
-- place among the due. Sent again with the same version it answers the same
-- but for the schedule that it replaced. A claim of an occurrence under way stays.
if redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[5]) then return {0, ''} end
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
if tonumber(ARGV[9] or ARGV[4]) <= now then return {-1, ''} end
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 and redis.call('SCARD', KEYS[2]) >= tonumber(ARGV[8]) then return {-2, ''} end
local old, version = redis.call('HGET', KEYS[3], 'schedule'), redis.call('HGET', KEYS[3], 'version')
redis.call('PERSIST', KEYS[4])
redis.call('HSET', KEYS[3], 'schedule', ARGV[3], 'version', ARGV[2], 'next', ARGV[4])
redis.call('HDEL', KEYS[3], 'trouble')
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[1])
if version and version ~= ARGV[2] then
  -- an occurrence under way may still read them
  redis.call('PEXPIRE', ARGV[6] .. version, ARGV[7])
end
return {1, old or ''}

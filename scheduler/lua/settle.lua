-- settle: records what became of an occurrence and goes on to the next one.
--
-- KEYS  1 due (sorted set: id by next occurrence)  2 schedule (hash)  3 history (list)
-- ARGV  1 id  2 version  3 holder  4 next occurrence in ms, or '' when there is none
--       5 occurrence as JSON  6 how many are kept  7 run, or ''  8 counter (fired, missed, failed)  9 by how much
-- Returns 1, or 0 when the claim is not held (any more): nothing was changed.
--
-- Atomic, so that an occurrence is either recorded and passed, or neither. A
-- schedule that was replaced meanwhile keeps its own next occurrence.
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[3] then return 0 end
redis.call('HDEL', KEYS[2], 'holder', 'until', 'firing', 'trouble')
if redis.call('HGET', KEYS[2], 'version') == ARGV[2] then
  redis.call('HSET', KEYS[2], 'next', ARGV[4])
  if ARGV[4] == '' then
    redis.call('ZREM', KEYS[1], ARGV[1])
  else
    redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
  end
end
redis.call('RPUSH', KEYS[3], ARGV[5])
redis.call('LTRIM', KEYS[3], -tonumber(ARGV[6]), -1)
if ARGV[7] ~= '' then redis.call('HSET', KEYS[2], 'last_run', ARGV[7]) end
redis.call('HINCRBY', KEYS[2], ARGV[8], ARGV[9])
return 1

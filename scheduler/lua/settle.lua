-- settle: records what became of an occurrence and goes on to the next one.
--
-- KEYS  1 due (sorted set: id by next occurrence)  2 schedule (hash)  3 history (list)  4 untold (list)
-- ARGV  1 id  2 version  3 holder  4 next occurrence in ms, or '' when there is none
--       5 occurrence as JSON  6 how many are kept  7 run, or ''  8 counter (fired, missed, failed)  9 by how much
--       10 how many that others are to be told of are kept  11 what they are to be told, as JSON; may be absent
-- Returns 1, or 0 when the claim is not held (any more): nothing was changed.
--
-- Atomic, so that an occurrence is either recorded, passed and to be told, or none of these. A
-- schedule that has been replaced keeps its own next occurrence.
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
if ARGV[11] then
  redis.call('RPUSH', KEYS[4], ARGV[11])
  redis.call('LTRIM', KEYS[4], -tonumber(ARGV[10]), -1)
end
return 1

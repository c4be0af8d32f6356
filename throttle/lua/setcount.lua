#!lua flags=allow-oom
-- Writes how many connections a worker holds; 0 takes it off.
--
-- KEYS[1]  connections of the account: hash worker -> count
-- ARGV     worker, count
-- result   1
-- Allowed when Redis is out of memory: it records what has happened already.
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], 172800)
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
return 1

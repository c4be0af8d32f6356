#!lua flags=allow-oom
-- Notes entries that replies in one lane have caused.
--
-- KEYS[1]  list of notes, the newest last
-- ARGV[1]  how many are kept
-- ARGV[2]  how long the list is kept after the last one, in ms
-- ARGV     then notes
-- returns  how many there are now
--
-- A script so that it is allowed when Redis is out of memory, as the entry itself is,
-- and because a key that is no list must not keep an address from the list: it is
-- begun again. A note that is there twice does no harm.
if type(redis.pcall('LLEN', KEYS[1])) ~= 'number' then
  redis.call('DEL', KEYS[1])
end
for i = 3, #ARGV do
  redis.call('RPUSH', KEYS[1], ARGV[i])
end
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[1]), -1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('LLEN', KEYS[1])

-- erase: a chunk of recipients in which one was made unknown takes the place of the old
-- one, and the last reply about that recipient goes.
--
-- KEYS  1 chunks  2 replies
-- ARGV  1 field of the chunk  2 the chunk as it was read  3 the new one  4 part:index
-- Returns 1 when it was replaced; 0 when it is another one by now, or is gone. Then
-- nothing was changed: two may be erased from one chunk at the same time.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HDEL', KEYS[2], ARGV[4])
return 1

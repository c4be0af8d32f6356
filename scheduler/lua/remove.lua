-- remove: removes a schedule and what belongs to it.
--
-- KEYS  1 due (sorted set)  2 ids (set)  3 schedule (hash)  4 history (list)
-- ARGV  1 id  2 name of a files key without the version
-- Returns {1, occurrence under way in ms or '', JSON of the schedule}; {0, '', ''} when there is none.
--
-- Atomic, so that no occurrence can be claimed of half a schedule. The files are
-- in the slot of the other keys.
local f = redis.pcall('HMGET', KEYS[3], 'schedule', 'version', 'firing')
if f.err then -- the key holds something else: it goes, its files end by themselves
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('SREM', KEYS[2], ARGV[1])
  redis.call('UNLINK', KEYS[3], KEYS[4])
  return {1, '', ''}
end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('SREM', KEYS[2], ARGV[1])
if not f[1] then return {0, '', ''} end
redis.call('UNLINK', KEYS[3], KEYS[4], ARGV[2] .. f[2])
return {1, f[3] or '', f[1]}

-- name: which run a name stands for (the one run of a campaign without cron, of
-- a --key, of a retry), changed only from what the caller knows. Of two that
-- change it at the same moment the later one gets the other's run. Allowed when
-- Redis is out of memory: it must always be possible to give a name back.
--
-- KEYS  1 name
-- ARGV  1 run that it stands for, '' for none  2 run that it shall stand for, '' for none
-- Returns the run that it stands for now: asking twice changes nothing.
local named = redis.call('GET', KEYS[1]) or ''
if named ~= ARGV[1] then return named end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return ARGV[2]

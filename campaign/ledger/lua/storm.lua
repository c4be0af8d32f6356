-- storm: bounced recipients whose suppression was taken away again, because the server
-- had refused everybody.
--
-- KEYS  1 record  2 chunks  3 storm
-- ARGV  1... part:index
-- Returns how many were new; -1 when the run, or the addresses of its recipients, are
-- gone. It ends with the addresses, without which no message could be sent to them again.
if redis.call('HEXISTS', KEYS[1], 'created') == 0 or redis.call('EXISTS', KEYS[2]) == 0 then return -1 end
local added = 0
for i = 1, #ARGV do
  added = added + redis.call('SADD', KEYS[3], ARGV[i])
end
local left = redis.call('PTTL', KEYS[2])
if left > 0 then redis.call('PEXPIRE', KEYS[3], left) end
return added

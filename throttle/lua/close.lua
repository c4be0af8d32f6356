#!lua flags=allow-oom
-- Closes an account; the key ends, and with it the closure, by itself.
--
-- KEYS[1]  state of the account: hash code, reason, worker, since, until
-- ARGV     code, reason, worker, since (ms since 1970), until (ms), time to live (ms)
-- result   1 when the account was open before, else 0
-- Atomic because a later end wins, and the first closing says since when.
local ends = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if ends >= tonumber(ARGV[5]) then return 0 end
redis.call('HSET', KEYS[1], 'code', ARGV[1], 'reason', ARGV[2], 'worker', ARGV[3], 'until', ARGV[5])
redis.call('HSETNX', KEYS[1], 'since', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[6])
if ends == 0 then return 1 end
return 0

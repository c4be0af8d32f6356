#!lua flags=allow-oom
-- Closes an account, or one lane of it; the closing ends by itself.
--
-- KEYS[1]  the account: hash with code, reason, worker, since and until; or
--          its lanes: hash provider -> until, since, code, worker and reason with
--          tabs between them
-- ARGV     provider ('': the account), until (ms since 1970), now (ms), code,
--          worker, reason, time to live of the key (ms)
-- result   1 when it was open before, else 0
-- Atomic because a later end wins, and the first closing says since when. The
-- key of lanes outlives most of its closings, so readers must look at until.
local key, provider, ends, now = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local code, worker, reason = ARGV[4], ARGV[5], ARGV[6]
local old, began
if provider == '' then
  old, began = unpack(redis.call('HMGET', key, 'until', 'since'))
else
  old, began = string.match(redis.call('HGET', key, provider) or '', '^(%d+)\t(%d+)\t')
end

local first, since = 1, now
old = tonumber(old or '') or 0
if old > tonumber(now) then
  if old >= tonumber(ends) then return 0 end
  first, since = 0, began or now
end

if provider == '' then
  redis.call('HSET', key, 'code', code, 'reason', reason, 'worker', worker, 'since', since, 'until', ends)
else
  redis.call('HSET', key, provider, table.concat({ends, since, code, worker, reason}, '\t'))
end
redis.call('PEXPIRE', key, ARGV[7])
return first

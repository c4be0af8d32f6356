#!lua flags=allow-oom
-- Closes one lane of an account; the closing ends by itself.
--
-- KEYS[1]  closed lanes of the account: hash provider -> until, since, code,
--          worker and reason with tabs between them
-- ARGV     provider, until (ms since 1970), since (ms), code, worker, reason,
--          time to live (ms)
-- result   1 when the lane was open before, else 0
-- Atomic because a later end wins, and the first closing says since when. The
-- key outlives most of its closings, so readers must look at until.
local field, ends, since = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local known = redis.call('HGET', KEYS[1], field)
local first = 1
if known then
  local old, began = string.match(known, '^(%d+)\t(%d+)\t')
  if old and tonumber(old) > tonumber(ARGV[3]) then
    if tonumber(old) >= ends then return 0 end
    first, since = 0, began
  end
end
redis.call('HSET', KEYS[1], field, table.concat({ARGV[2], since, ARGV[4], ARGV[5], ARGV[6]}, '\t'))
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return first

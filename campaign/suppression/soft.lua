#!lua flags=allow-oom
-- Counts messages to addresses of one shard that were returned although the address
-- may be in use, and forgets them where one arrived.
--
-- KEYS[1]  hash: 16 bytes of the address's hash -> "time message", ... in the order in
--          which they came; times in Unix milliseconds
-- ARGV[1]  how many it takes; [2] how far they may lie apart, ms; [3] how long the
--          hash lives after the last one, ms
-- ARGV     then for each: field; the time; the message's name of letters and digits,
--          empty when one arrived
-- returns  for each 1 when its address now has as many as it takes within that time,
--          else 0
--
-- Atomic because two processes may count at the same time. Idempotent: a message
-- counts once. Allowed when Redis is out of memory, as the entry itself is.
local wanted, within, out, counted = tonumber(ARGV[1]), tonumber(ARGV[2]), {}, false
for k = 4, #ARGV, 3 do
  local field, at, message = ARGV[k], tonumber(ARGV[k + 1]), ARGV[k + 2]
  local old = redis.call('HGET', KEYS[1], field)
  local arrived = message == ''
  local kept, known, near = {}, false, 0
  for its_at, its_message in string.gmatch(old or '', '(%d+) (%w+)') do
    local t = tonumber(its_at)
    if not (arrived and t <= at) then
      kept[#kept + 1] = its_at .. ' ' .. its_message
      known = known or its_message == message
      if math.abs(t - at) <= within then near = near + 1 end
    end
  end
  if not arrived and not known then
    kept[#kept + 1] = string.format('%.0f %s', at, message)
    near = near + 1
    if #kept > wanted then table.remove(kept, 1) end
  end
  if #kept == 0 then
    if old then redis.call('HDEL', KEYS[1], field) end
  else
    redis.call('HSET', KEYS[1], field, table.concat(kept, ','))
    counted = true
  end
  out[#out + 1] = (not arrived and near >= wanted) and 1 or 0
end
if counted then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return out

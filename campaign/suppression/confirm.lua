-- Counts a sign that an address is dead which counts only when it comes again.
--
-- KEYS[1]  hash: 16 bytes of the address's hash -> "count last", last in Unix
--          milliseconds, and behind it the messages that came back as signs; or
--          "0 last =message" of the message that was the last sign it took
-- ARGV     field; how many signs it takes; when this one was, Unix milliseconds; how far
--          they must lie apart; how long the hash lives after the last one; the name of
--          the message that came back, empty for a reply while sending
-- returns  1 when this was the last sign that it took, else 0
--
-- Atomic because two workers may see a sign at the same time: it is one. Idempotent for a
-- message, whose sign counts once, and is the last one as often as it is told.
local field, wanted, at, message = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[6]
local value = redis.call('HGET', KEYS[1], field)
local count, last, messages = string.match(value or '', '^(%d+) (%d+) ?(.*)$')
if message ~= '' and messages then
  if messages == '=' .. message then return 1 end
  if string.find(' ' .. messages .. ' ', ' ' .. message .. ' ', 1, true) then return 0 end
end

count = tonumber(count) or 0
if count == 0 then messages = '' end
if count > 0 and at - tonumber(last) < tonumber(ARGV[4]) then return 0 end
count = count + 1
local confirmed = count >= wanted
if confirmed and message == '' then
  redis.call('HDEL', KEYS[1], field)
  return 1
end

if confirmed then
  value = string.format('0 %.0f =%s', at, message)
else
  value = string.format('%d %.0f', count, at)
  if messages ~= '' then value = value .. ' ' .. messages end
  if message ~= '' then value = value .. ' ' .. message end
end
redis.call('HSET', KEYS[1], field, value)
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return confirmed and 1 or 0

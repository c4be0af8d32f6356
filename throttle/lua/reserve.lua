-- Reserves up to max points of a line, all before now + lead + window.
--
-- KEYS     see line.lua
-- ARGV     interval (microseconds, with fraction, for slack 0), slack, lead,
--          window, max, not before (absolute microseconds; 0: any)
-- result   {now, next, slot...}, microseconds since 1970, slots ascending; next
--          is the first point that a later call can have
local interval, lead, window = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local max = tonumber(ARGV[5])
slack = math.max(slack, tonumber(ARGV[2]))
interval = interval * (1 + slack / 1000000)

local first, horizon = lead, lead + window
if tonumber(ARGV[6]) > 0 then first = math.max(first, tonumber(ARGV[6]) - now) end

local slots = {}
if first <= horizon then
  for _, hole in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], abs(first), abs(horizon), 'LIMIT', 0, max)) do
    redis.call('ZREM', KEYS[2], hole)
    slots[#slots + 1] = tonumber(hole)
  end
  local start, passed = skip(first, interval)
  start = math.max(start, first)
  if #slots < max and start <= horizon then
    -- Every lane needs some time to come to its body.
    if first > 20000 then addHoles(passed) end
    local n = 0
    while #slots < max and start + n * interval <= horizon do
      slots[#slots + 1] = now + math.ceil(start + n * interval)
      n = n + 1
    end
    tat = start + n * interval
  end
  if #slots > 0 then save() end
end

local result = {now, now + math.ceil(math.max(tat, first))}
for _, s in ipairs(slots) do result[#result + 1] = s end
return result

-- Reserves up to max slots, as many as the quotas leave. A slot is a moment from
-- now + lead on at which a body may leave: every line has a free point there, or before
-- it by at most the delay that is allowed for the line, and before now + lead + window.
-- Without any line a body leaves as soon as it can. Where the lines are quiet, and the way
-- to a body is short, the slots begin now, with leeway.
--
-- KEYS     see line.lua and quota.lua
-- ARGV     see quota.lua; then lead, window, max, not before (absolute
--          microseconds; 0: any), 1 when slots may have leeway, else 0, and how many
--          messages of high priority wait (-1: a body waits, whatever it is)
-- result   see limits.lua; slots ascending. next is the first slot that a later
--          call can have
local lead, window, max = tonumber(ARGV[own + 1]), tonumber(ARGV[own + 2]), tonumber(ARGV[own + 3])
local notBefore = tonumber(ARGV[own + 4])

-- What a line allows is for the way from its point to the body that has points of
-- others too. The first of several lines in another hash slot gives its own moments.
if #lines == 1 then lines[1].early, patience = 0, 0 end

local t, horizon = math.max(lead, earliest), math.min(lead + window + patience, latest)
if notBefore > 0 then t = math.max(t, notBefore - now) end

local rest, spent, ends = allowance(lead, lead + window)
max = math.min(max, rest)
if max <= 0 then return answer(ends, spent, ends, {}, 0) end

local urgent = tonumber(ARGV[own + 6])
if urgent == 0 and heldUntil() > 0 then return answer(now + heldUntil(), 0, 0, {}, 0) end

-- A worker that dies takes what it has of a quota with it: that should be little, so where
-- a quota is short no slots are given for all of the leeway. Where there are only quotas
-- a body may be late all the same.
local late = 0
if ARGV[own + 5] == '1' and earliest <= 0 and latest > horizon + leeway then
  local isPlenty = rest >= 20 * max
  if #lines == 0 then
    late = isPlenty and leeway or leeway / 2
  elseif isPlenty and lead <= leeway / 4 and isQuiet(max) then
    giveLeeway()
    late, t = leeway, 0
  end
end

-- As many slots as possible are taken in a row: of fast lines a row costs no more
-- than a slot.
local slots, row = {}, max
while #slots < max and t <= horizon do
  local body, free = meet(t, horizon)
  if not body then
    t = free
    break
  end

  local n = math.min(row, max - #slots)
  if apart > 0 then n = math.min(n, math.floor((horizon - body) / apart) + 1) end
  while n > 1 and not fit(body, body + (n - 1) * apart, n) do n = math.floor(n / 2) end
  takeAll(body, n)
  for i = 0, n - 1 do slots[#slots + 1] = now + math.ceil(body + i * apart) end
  t, row = slots[#slots] - now, 2 * n
end

if urgent > #slots then
  hold(math.max(lead, earliest), #slots < max)
elseif urgent > 0 then
  letGo()
end

return answer(now + meet(t, math.huge), 0, 0, slots, #slots, late)

-- sweep: pending, issued, deferred -> cancelled, over a range of a cancelled
-- run. Those that are being sent are left to their outcome.
--
-- ARGV  2 first index  3 last index
--       4 abandon: 1 = a recipient without a cell, or with one that means nothing,
--         becomes uncertain instead. The counts still have it in some state that is
--         not final; when no other recipient is in that state, it is taken from there.
-- Returns how many were moved; -1 when the run is not cancelled.
if run_state ~= 'cancelled' then return -1 end
local n, first, last = 0, tonumber(ARGV[2]), tonumber(ARGV[3])
prefetch(first, last)

local function cancel(i)
  local c = read(i)
  if c and (c.state == PENDING or c.state == ISSUED or c.state == DEFERRED) then
    move(i, c, CANCELLED, 0)
    n = n + 1
  end
end

-- The states that are not final, and how many the counts have in each.
local OPEN, left = {PENDING, ISSUED, DEFERRED, SENDING}, {}
if ARGV[4] == '1' then
  for _, state in ipairs(OPEN) do
    left[state] = tonumber(redis.call('HGET', KEYS[2], part .. ':' .. int(state)) or 0)
  end
end

local function abandon(i)
  local c = read(i)
  if c and (FINAL[c.state] or c.state == PENDING or c.state == ISSUED or c.state == DEFERRED or c.state == SENDING) then return end
  for _, state in ipairs(OPEN) do
    if left[state] > 0 then
      left[state] = left[state] - 1
      cells[i] = {state = state, attempts = 0, unanswered = 0, grey = 0, when = 0}
      move(i, cells[i], UNCERTAIN, 0)
      n = n + 1
      return
    end
  end
end

for i = first, last do
  if ARGV[4] == '1' then abandon(i) else cancel(i) end
end
return done(n)

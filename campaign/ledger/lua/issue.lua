-- issue: pending, deferred, issued -> issued, for those whose time has come
-- and as far as the part's backlog allows. Each cell is checked again here, so
-- that two feeders do no harm. A recipient past the run's expiry fails instead, and
-- one that was issued seven times without a sign of life is stuck.
--
-- ARGV  2 backlog of the part  3 seconds to wait for a sign of life
--       4 force: 1 = issued cells are ready at once (a worker was found dead)
--       5 ranges of indexes: "3,7-90,100"
-- Returns {issued indexes as an array, notes as a flat array, now in ms}; the notes
-- are handed over: they are gone afterwards.
local backlog, hold, force = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local noted = redis.call('HGETALL', KEYS[7])
local issued = {}
local room = backlog - tonumber(redis.call('HGET', KEYS[2], part .. ':' .. ISSUED) or 0)
local expired = now >= (tonumber(record[5]) or 16777215)

local function offer(i)
  local c = read(i)
  if not c or FINAL[c.state] or c.state == SENDING then return end
  if expired and (c.state ~= ISSUED or c.when <= now) then
    local old = redis.call('HGET', KEYS[6], part .. ':' .. i)
    return give_up(i, c, 'expired', old and string.match(old, '^[^\t]*\t[^\t]*\t[^\t]*\t(.*)$') or '0\t\t\t')
  end
  if c.state == ISSUED then
    if c.when > now and not force then return end
    if not force then
      if c.unanswered >= 7 then
        return give_up(i, c, 'stuck', '0\t\t\t')
      end
      c.unanswered = c.unanswered + 1
    end
    -- It is in the backlog already.
  else
    if c.when > now or room <= 0 then return end
    room = room - 1
    c.unanswered = 0
  end
  move(i, c, ISSUED, now + hold * 2 ^ c.unanswered)
  issued[#issued + 1] = i
end

if run_state == 'running' then
  for first, last in string.gmatch(ARGV[5], '(%d+)%-?(%d*)') do
    first, last = tonumber(first), tonumber(last) or tonumber(first)
    if last > first then prefetch(first, last) end
    -- Most are new: a list that is sent for the first time.
    local n = math.min(last - first + 1, math.max(0, room))
    if last > first and not expired and n > 0 and move_new(first, n, ISSUED, now + hold) then
      room = room - n
      for i = first, first + n - 1 do issued[#issued + 1] = i end
      first = first + n
    end
    for i = first, last do offer(i) end
  end
end
done()
-- Last, since it is a write that a full Redis allows, and would let all others
-- of the script through. Nothing above makes a note: no recipient becomes pending.
if #noted > 0 then redis.call('DEL', KEYS[7]) end
return {issued, noted, now_ms}

-- Beginning of every slot script: lines of slots, read and written.
--
-- KEYS     two for each line:
--          the line: "tat at slack". tat: the end of the line; at: Redis time of the
--          last write; both microseconds since 1970. slack: the longest delay, in
--          microseconds, with which a point of this line may be used.
--          free: "base from to from to ... until:used:held". from and to are the stretches
--          before tat that are free, in the order of time, microseconds after base. A
--          point may lie anywhere in a stretch that has room for an interval behind it.
--          until, in microseconds after base: up to then points may be used with leeway,
--          so that all are as far from each other as if they were. used: about how many
--          points were taken in a second. held, in microseconds after base: up to then the
--          points are for messages of high priority. What has no held, or only a few
--          stretches, was written by an older version.
--
-- All times below are relative to now, so that doubles hold them exactly.
-- Atomic because a point must be handed out once, and because a body that needs
-- points of several lines must get all of them or take none.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- reach is how far ahead of now points are handed out at most, in microseconds:
-- lead, window and delay, and how late a body may be.
local reach = 6000000

-- A body leaves at a whole microsecond, up to one after its point.
local rounding = 1.001

-- leeway is how late a body may leave after a slot that is given with it.
local leeway = 250000

-- mostFree is how many stretches of a line are kept: the last ones.
local mostFree = 32

-- open reads the nth line. interval is in microseconds, with fraction, for slack 0.
-- floor and wrote are what the caller remembers of the line, absolute, 0 for
-- nothing: the end of all that it was given, when that was written, and until when it
-- may use that with leeway. A Redis that lost its last writes learns it from them.
local function open(n, interval, slack, floor, wrote, lenient)
  local line = {
    key = KEYS[2 * n - 1], freeKey = KEYS[2 * n], slack = slack, early = slack,
    tat = 0, from = {}, to = {}, at = 1, changed = false, mine = 0, lenient = 0, taken = 0,
    held = 0,
  }
  local stored, free = redis.call('GET', line.key), redis.call('GET', line.freeKey)
  local written, steppedBack = 0, false
  local a, b, c = string.match(stored or '', '^(%d+) (%d+) (%d+)$')
  if a then
    written = tonumber(b)
    line.slack = math.max(slack, tonumber(c))
    -- Where the clock stepped back, what was in front then is at most what is in
    -- front now. The stretches are times of the other clock.
    steppedBack = now < written
    line.tat = tonumber(a) - (steppedBack and written or now)
  end
  line.tat = math.max(line.tat, 0)

  local base, rest = string.match(free or '', '^(%d+)(.*)$')
  local shift = base and tonumber(base) - now
  local ends, used, held = string.match(rest or '', ' (%d+):([%d.]+):?(%d*)$')
  if ends then
    line.lenient = tonumber(ends) + (steppedBack and 0 or shift)
    if shift > -1000000 and shift <= 0 then line.used = tonumber(used) * math.exp(shift / 1000000) end
    line.held = (tonumber(held) or 0) + shift
  end
  -- One further ahead is a time of another clock.
  if lenient - now > line.lenient and lenient - now <= reach + 2 * leeway then
    line.lenient = lenient - now
    line.changed = true
  end
  line.stretched = interval * (1 + (line.slack + leeway) / 1000000)
  line.interval = line.lenient > 0 and line.stretched or interval * (1 + line.slack / 1000000)

  -- No point further ahead was handed out: the line was left by a lower rate.
  local furthest = reach + line.interval
  if line.tat > furthest then
    line.tat = furthest
    line.changed = true
  end
  if steppedBack or line.held > furthest + leeway then line.held = 0 end
  -- A floor further ahead is a time of another clock.
  if floor - now > line.tat and floor - now <= furthest then
    line.tat = floor - now
    line.changed = true
  end

  -- Where less was written than the caller knows of, some of the stretches are taken.
  if not free or steppedBack or written < wrote then return line end
  for from, to in string.gmatch(rest, ' (%S+) (%S+)') do
    from = math.max(tonumber(from) + shift, 0)
    to = math.min(tonumber(to) + shift, line.tat)
    if to - from >= line.interval - rounding then
      line.from[#line.from + 1], line.to[#line.to + 1] = from, to
    end
  end
  return line
end

local function save(line)
  redis.call('SET', line.key, string.format('%.0f %.0f %.0f', now + math.ceil(line.tat), now, line.slack), 'EX', 172800)
  local free = {string.format('%.0f', now)}
  for i = math.max(1, #line.from - mostFree + 1), #line.from do
    free[#free + 1] = string.format('%.3f %.3f', line.from[i], line.to[i])
  end
  -- Of a line that was not used for a while it is not known how much is: half of it. Where
  -- more is wanted from the beginning, this only grows.
  local used = (line.used or 500000 / line.interval) + line.taken
  local held = math.max(0, math.ceil(line.held))
  free[#free + 1] = string.format('%.0f:%.3f:%.0f', math.max(0, math.ceil(line.lenient)), used, held)
  -- Nothing of this is further ahead than that.
  redis.call('SET', line.freeKey, table.concat(free, ' '), 'EX', math.max(10, math.ceil(held / 1000000)))
end

-- place returns where a line has a point for a body in a free stretch, nil where it has
-- none: at the beginning, else a whole number of intervals behind that, else at the end,
-- so that what remains of the stretch has room for others.
local function place(line, from, to, body)
  local first, last = body - line.early - 1, to - line.interval + rounding
  if from > first then return from end
  local steps = math.floor((body - from) / line.interval) * line.interval
  local point = math.min(from + steps, last)
  if point > first then return point end
end

-- ready returns the first moment at or after t at which a body can have a point of
-- the line. The times that it is asked for do not go back. Where a body has no point,
-- it waits up to patience for one that leaves room for others.
local function ready(line, t, patience)
  while true do
    local from, to = line.from[line.at] or line.tat, line.to[line.at] or math.huge
    local point = place(line, from, to, t)
    if point then return math.max(t, math.ceil(point)) end

    local last = to - line.interval + rounding
    if t <= last then
      local later = from + math.ceil((t - from) / line.interval) * line.interval
      if later <= last and later - t <= patience then return math.ceil(later) end
      return t
    end
    line.at = line.at + 1
  end
end

-- take takes n points in a row, the first for a body at a moment that the line is
-- ready for.
local function take(line, body, n)
  local i = line.at
  local from, to = line.from[i] or line.tat, line.to[i] or math.huge
  local point = place(line, from, to, body) or body
  if line.isSparing and n == 1 and point == body then point = math.max(from, body - line.early) end
  local after = point + n * line.interval
  line.changed = true
  line.mine = math.max(line.mine, after)
  line.taken = line.taken + n
  if line.given then line.lenient = math.max(line.lenient, after + leeway + 1000000) end

  if line.from[i] then
    table.remove(line.from, i)
    table.remove(line.to, i)
    if to - after >= line.interval - rounding then
      table.insert(line.from, i, after)
      table.insert(line.to, i, to)
    end
  else
    line.tat = after
  end
  -- Every lane needs some time to come to its body. So what a fast line has in the
  -- next moments is of no use to another lane, and not worth keeping.
  if point - from >= line.interval - rounding and (line.interval > 1000 or point > 20000) then
    table.insert(line.from, i, from)
    table.insert(line.to, i, point)
  end
end

-- release frees a point that was taken for a body at t.
local function release(line, t)
  local from, to, i = t, t + line.interval - 1, 1
  while line.from[i] and line.from[i] < from do i = i + 1 end
  if line.from[i] and line.from[i] - to <= 2 * rounding then
    to = line.to[i]
    table.remove(line.from, i)
    table.remove(line.to, i)
  end
  if i > 1 and from - line.to[i - 1] <= 2 * rounding then
    i = i - 1
    from = line.from[i]
    table.remove(line.from, i)
    table.remove(line.to, i)
  end
  line.changed = true
  if line.tat - to <= 2 * rounding then
    line.tat = from
  else
    table.insert(line.from, i, from)
    table.insert(line.to, i, to)
  end
end

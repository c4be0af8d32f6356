-- Third part of the slot scripts that take slots: all limits together.
--
-- Result of every script: {now, next, spent, until, late, for each line the end of
-- all points that were taken or 0, for each quota the bucket that is counted in,
-- point...}, microseconds since 1970. spent is the number of the quota that
-- stands in the way, or 0; until is when it no longer does. late is how many microseconds
-- after their points bodies may leave, where that is longer than usual, else 0.
local lines = {}
for n = 1, nLines do
  local a = 5 * n - 1
  lines[n] = open(n, tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]))
end

-- apart is how far from each other bodies in a row are at least; patience how long one
-- waits for a point that leaves room for others.
local apart, patience = 0, 0
for _, line in ipairs(lines) do
  apart, patience = math.max(apart, line.interval), math.max(patience, line.early)
end

-- Where a slow limit that others share is nearly used up, bodies wait for its next point,
-- so that it has no gaps, and the points of the other lines lie as early as they may.
local last = lines[#lines]
if #lines > 1 and last.interval > patience and (last.used or 0) * last.interval > 800000 then
  patience = math.min(last.interval, 100000)
  for _, line in ipairs(lines) do line.isSparing = true end
end

-- isQuiet reports whether less than half of every line is used, with n more bodies, and
-- they could leave soon.
local function isQuiet(n)
  for _, line in ipairs(lines) do
    if not line.used or (line.used + n) * line.stretched > 500000 or line.tat + n * line.stretched > leeway / 2 then
      return false
    end
  end
  return true
end

-- giveLeeway lets bodies be late for the points that are taken from here on.
local function giveLeeway()
  for _, line in ipairs(lines) do
    line.interval, line.given = line.stretched, true
    apart = math.max(apart, line.interval)
  end
end

-- meet returns the first moment at or after t, but at most at limit, at which a body
-- can have a point of every line; without one nil, and when to look again.
local function meet(t, limit)
  local agreed, i = 0, 1
  while agreed < #lines do
    local body = ready(lines[i], t, patience)
    if body > limit then return nil, body end
    if body > t then t, agreed = body, 0 end
    agreed, i = agreed + 1, i % #lines + 1
  end
  return t
end

-- fit reports whether every line has n points in a row for bodies from first to last,
-- moments that are at least apart from each other, of which meet returned the first.
local function fit(first, last, n)
  for _, line in ipairs(lines) do
    local from, to = line.from[line.at] or line.tat, line.to[line.at] or math.huge
    local point = place(line, from, to, first) or first
    local width = (n - 1) * line.interval
    if to - point < width + line.interval - rounding then return false end
    if last - point - width > line.early + 1 then return false end
  end
  return true
end

-- takeAll takes n points in a row of every line.
local function takeAll(first, n)
  for _, line in ipairs(lines) do take(line, first, n) end
end

-- heldUntil returns until when the points of one of the lines are for messages of high
-- priority alone.
local function heldUntil()
  local ends = 0
  for _, line in ipairs(lines) do ends = math.max(ends, line.held) end
  return ends
end

-- hold keeps the line whose next point after t is the last for messages of high priority:
-- until that point and a quarter of a second more, within which they ask again. Others may go
-- on in the other lines. isRefused says that some asked for a point and got none; of a slow
-- line they do not ask for more than one.
local function hold(t, isRefused)
  local slowest, body = nil, 0
  for _, line in ipairs(lines) do
    local at = line.at
    line.at = 1
    local free = ready(line, t, 0)
    line.at = at
    if free > body then slowest, body = line, free end
  end
  if slowest and (isRefused or slowest.interval > leeway / 2) then
    slowest.held = math.max(slowest.held, body + leeway)
    slowest.changed = true
  end
end

-- letGo ends what hold has done.
local function letGo()
  for _, line in ipairs(lines) do
    if line.held > 0 then line.held, line.changed = 0, true end
  end
end

-- earliest and latest are the bounds of the stretches of time that quotas are for.
local earliest, latest = 0, math.huge
for _, q in ipairs(quotas) do
  if q.window == 0 then
    earliest = math.max(earliest, q.begin - now)
    latest = math.min(latest, q.finish - now - 1)
  end
end

-- allowance returns how many messages the quotas leave between two moments; if
-- none, also the number of the quota that ends last, and that end.
local function allowance(from, to)
  local rest, spent, ends = math.huge, 0, 0
  for n, q in ipairs(quotas) do
    local left, free = q.messages - q.total, 0
    if left <= 0 then
      free = opens(q)
    elseif q.window == 0 and q.begin - now > to then
      left, free = 0, q.begin
    elseif q.window == 0 and q.finish - now <= from then
      left, free = 0, math.max(q.finish, now + 1000000)
    end
    rest = math.min(rest, math.max(left, 0))
    if free > ends then spent, ends = n, free end
  end
  return rest, spent, ends
end

-- answer counts the points that were taken, saves everything and returns the result.
local function answer(next, spent, ends, points, taken, late)
  local result = {now, next, spent, ends, late or 0}
  for _, line in ipairs(lines) do
    local mine = 0
    if line.mine > 0 then mine = now + math.ceil(line.mine) end
    result[#result + 1] = mine
    if line.changed then save(line) end
  end
  for _, q in ipairs(quotas) do
    if taken > 0 then count(q, q.bucket, taken) end
    saveQuota(q)
    result[#result + 1] = q.bucket
  end
  local before = #result
  for i = 1, #points do result[before + i] = points[i] end
  return result
end

-- Beginning of every slot script: lines of slots, read and written.
--
-- KEYS     two for each line:
--          the line: "tat at slack". tat: next free point; at: Redis time of the
--          last write; both microseconds since 1970. slack: the longest delay, in
--          microseconds, with which a point of this line may be used.
--          holes: sorted set of free points before tat (member = score = time)
--
-- All times below are relative to now, so that doubles hold them exactly.
-- Atomic because a point must be handed out once, and because a body that needs
-- points of several lines must get all of them or take none.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

local function abs(t)
  return string.format('%.0f', now + math.ceil(t))
end

-- reach is how far ahead of now points are handed out at most, in microseconds:
-- lead, window and delay, and how late a body may be.
local reach = 6000000

-- open reads the nth line. interval is in microseconds, with fraction, for slack 0.
-- floor and wrote are what the caller remembers of the line, absolute, 0 for
-- nothing: the first point behind all that it was given, and when that was written.
-- A Redis that lost its last writes learns it from them.
local function open(n, interval, slack, floor, wrote)
  local line = {key = KEYS[2 * n - 1], holes = KEYS[2 * n], tat = 0, slack = slack, changed = false, mine = 0}
  local written = 0
  local stored = redis.call('GET', line.key)
  if stored then
    local a, b, c = string.match(stored, '^(%d+) (%d+) (%d+)$')
    if a then
      local at = tonumber(b)
      written = at
      line.slack = math.max(slack, tonumber(c))
      if now < at then
        -- The clock stepped back: what was in front then is at most what is
        -- in front now. The holes are times of the other clock.
        line.tat = tonumber(a) - at
        redis.call('DEL', line.holes)
      else
        line.tat = tonumber(a) - now
      end
    end
  end
  if line.tat < 0 then line.tat = 0 end
  line.interval = interval * (1 + line.slack / 1000000)

  -- No point further ahead was handed out: the line was left by a lower rate.
  local furthest = reach + line.interval
  if line.tat > furthest then
    line.tat = furthest
    line.changed = true
  end
  -- A floor further ahead is a time of another clock.
  if floor - now > line.tat and floor - now <= furthest then
    line.tat = floor - now
    line.changed = true
  end
  -- Some of the holes were taken since they were written.
  if written < wrote then redis.call('DEL', line.holes) end

  redis.call('ZREMRANGEBYSCORE', line.holes, '-inf', '(' .. abs(0))
  return line
end

local function save(line)
  redis.call('SET', line.key, abs(line.tat) .. ' ' .. abs(0) .. ' ' .. string.format('%.0f', line.slack), 'EX', 172800)
end

-- addHoles frees points (relative times); they are of no use after a minute.
local function addHoles(line, points)
  for i = 1, #points, 500 do
    local args = {}
    for j = i, math.min(i + 499, #points) do
      local t = abs(points[j])
      args[#args + 1] = t
      args[#args + 1] = t
    end
    redis.call('ZADD', line.holes, unpack(args))
  end
  if #points > 0 then redis.call('EXPIRE', line.holes, 60) end
end

-- passed returns the points from the end of the line on that have a successor at
-- or before t: all of them up to 500, of a fast line 64, else every second, third, ... so that a fast
-- line in little use costs no more.
local function passed(line, t)
  -- A thousandth of a microsecond makes up for what doubles round.
  local n = math.floor((t - line.tat + 0.001) / line.interval)
  local most = line.interval < 1000 and 64 or 500
  local every, points = math.max(math.ceil(n / most), 1), {}
  for i = 0, n - 1, every do points[#points + 1] = line.tat + i * line.interval end
  return points
end

-- load reads the holes of a line from a time to another at once, at most so many. They
-- are in list, false when they are taken; those behind the first stored are new. at is
-- where to look first, upto the time to which all are there.
local function load(line, from, to, most)
  local members = redis.call('ZRANGEBYSCORE', line.holes, abs(from), abs(to), 'LIMIT', 0, most)
  line.list, line.at, line.stored, line.upto = {}, 1, #members, to
  for i, member in ipairs(members) do line.list[i] = tonumber(member) - now end
  if #members == most then line.upto = line.list[most] end
end

-- pass makes points holes that can be taken in the same call. Where a list was not
-- read they are written at once.
local function pass(line, points)
  if not line.list then return addHoles(line, points) end
  for _, point in ipairs(points) do line.list[#line.list + 1] = math.ceil(point) end
end

-- flush writes what became of the holes in the list.
local function flush(line)
  if not line.list then return end
  local gone, new = {}, {}
  for _, i in ipairs(line.taken or {}) do gone[#gone + 1] = abs(i) end
  for i = line.stored + 1, #line.list do
    if line.list[i] then new[#new + 1] = line.list[i] end
  end
  for i = 1, #gone, 500 do
    redis.call('ZREM', line.holes, unpack(gone, i, math.min(i + 499, #gone)))
  end
  addHoles(line, new)
end

-- take takes a point that was found. hole is its member in holes, or its place in the
-- list. Those that it passes become holes if keep.
local function take(line, point, hole, keep)
  line.changed = true
  line.mine = math.max(line.mine, point + line.interval)
  if type(hole) == 'number' then
    if hole <= line.stored then
      line.taken = line.taken or {}
      line.taken[#line.taken + 1] = line.list[hole]
    end
    line.list[hole] = false
    return
  end
  if hole then
    redis.call('ZREM', line.holes, hole)
    return
  end
  if keep and point > line.tat then pass(line, passed(line, point)) end
  line.tat = point + line.interval
end

-- follower returns the functions that look at several lines, from a time to another.
-- They are made only where they are needed: most calls are for one line, and making
-- them is work too. The times that they are asked for do not go back.
local function follower(lines, from, to, most)
  -- written returns the first free point from t on that is not in the list, and its
  -- member in holes.
  local function written(line, t, limit)
    local hole = redis.call('ZRANGEBYSCORE', line.holes, abs(math.max(t, line.upto + 1)), limit, 'LIMIT', 0, 1)[1]
    if hole then return tonumber(hole) - now, hole end
  end

  -- nextPlace returns the place of the first free point from t on in the list.
  local function nextPlace(line, t)
    for i = line.at, #line.list do
      if line.list[i] and line.list[i] >= t then return i end
    end
  end

  -- firstHole returns the first free point from t to limit before the end of the
  -- line, and its place in the list, or its member in holes.
  local function firstHole(line, t, limit)
    local place = nextPlace(line, t)
    local point = place and line.list[place]
    if point and point > limit then point, place = nil, nil end
    if line.upto >= to or place and place <= line.stored then return point, place end

    -- One that is not in the list may come before a new one.
    local other, member = written(line, t, abs(limit))
    if other and (not point or other < point) then return other, member end
    return point, place
  end

  -- find returns a free point from t to limit, and where it is in holes if it is one.
  local function find(line, t, limit)
    local point, hole = firstHole(line, t, math.ceil(limit))
    if point then return point, hole end
    if line.tat > limit then return nil end
    if line.tat >= t then return line.tat end
    local behind = (t - line.tat) % line.interval
    if behind == 0 then return t end
    if t - behind + line.interval <= limit then return t - behind + line.interval end
    return t -- leaves the raster: less than one interval is lost
  end

  -- free returns the first free point from t on, or the end of the line.
  local function free(line, t)
    local place = nextPlace(line, t)
    if place and place <= line.stored then return line.list[place] end
    local other = written(line, t, '+inf') or line.tat
    if place then return math.min(other, line.list[place]) end
    return other
  end

  for i = 1, #lines do load(lines[i], from, to, most) end

  -- follow takes one point of each line from the nth on, each at the moment of the
  -- one before it or later, the first at t or later and the last at most at limit.
  -- It returns the last point. Where a line has none it takes nothing and returns
  -- nil, and the first free point of that line.
  local function follow(n, t, limit)
    local points, holes = {}, {}
    for i = n, #lines do
      local line = lines[i]
      while line.at <= #line.list and (not line.list[line.at] or line.list[line.at] < t) do line.at = line.at + 1 end
    end
    for i = n, #lines do
      local point, hole = find(lines[i], t, limit)
      if not point then return nil, free(lines[i], t) end
      points[i], holes[i] = point, hole
      t = math.ceil(point)
    end
    for i = n, #lines do take(lines[i], points[i], holes[i], true) end
    return t
  end

  return follow
end

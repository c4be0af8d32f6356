-- Third part of the slot scripts that take slots: all limits together.
--
-- Result of every script: {now, next, spent, until, for each line the first point
-- behind all that were taken or 0, for each quota the bucket that is counted in,
-- point...}, microseconds since 1970. spent is the number of the quota that
-- stands in the way, or 0; until is when it no longer does.
local lines = {}
for n = 1, nLines do
  local a = 4 * n
  lines[n] = open(n, tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3]))
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
local function answer(next, spent, ends, points, taken)
  local result = {now, next, spent, ends}
  for _, line in ipairs(lines) do
    local mine = 0
    if line.mine > 0 then mine = now + math.ceil(line.mine) end
    result[#result + 1] = mine
    flush(line)
    if line.changed then save(line) end
  end
  for _, q in ipairs(quotas) do
    if taken > 0 then count(q, q.bucket, taken) end
    saveQuota(q)
    result[#result + 1] = q.bucket
  end
  for _, point in ipairs(points) do result[#result + 1] = point end
  return result
end

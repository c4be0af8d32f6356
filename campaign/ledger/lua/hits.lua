-- hits: what readers of a run did with its letters. Opens, and what machines do, count at
-- once. The clicks of one reader are held until a time after the first of them: only then
-- is it known whether somebody reads, or a machine follows every link.
--
-- KEYS  1 record  2 figures: field -> how many  3 people who opened  4 people whose
--       proxy opened  5 people who clicked (HyperLogLogs)  6 held: reader -> links
--       7 due: reader -> when they are judged
-- ARGV  1 now, in ms  2 how long clicks are held, in ms  3 how many readers are judged at
--       most  4 how many characters are held for one reader
--       for each: 'n', a field, how many; 'o' or 'p', a reader, ''; or 'c', a reader
--         ("part:index"), and the link ("number:of")
-- Returns how many readers have clicks that are held; -1 when the run is gone.
--
-- People come before everything else: where the user may not use HyperLogLogs, nothing has
-- been counted or held when that is refused, and the caller may come again.
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local now, hold = tonumber(ARGV[1]), tonumber(ARGV[2])
local figures = {}

local function add(field, n) figures[field] = (figures[field] or 0) + n end

for k = 5, #ARGV, 3 do
  if ARGV[k] == 'o' then redis.call('PFADD', KEYS[3], ARGV[k + 1]) end
  if ARGV[k] == 'p' then redis.call('PFADD', KEYS[4], ARGV[k + 1]) end
end

-- judge counts the clicks that were held for a reader. A machine has followed three
-- different links or more, and at least half of those that the letter has.
local function judge(reader)
  local list = redis.call('HGET', KEYS[6], reader) or ''
  local links, different, n, of = {}, 0, 0, 0
  for number, count in string.gmatch(list, '(%d+):(%d+)') do
    n, of = n + 1, tonumber(count)
    if not links[number] then
      links[number] = 0
      different = different + 1
    end
    links[number] = links[number] + 1
  end
  if different >= 3 and different * 2 >= of then
    add('machine click burst', n)
  elseif n > 0 then
    redis.call('PFADD', KEYS[5], reader)
    add('click ' .. string.match(reader, '^%d+'), n)
    for number, times in pairs(links) do add('link ' .. number, times) end
  end
  redis.call('HDEL', KEYS[6], reader)
  redis.call('ZREM', KEYS[7], reader)
end

local due = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, reader in ipairs(due) do judge(reader) end

for k = 5, #ARGV, 3 do
  local reader = ARGV[k + 1]
  if ARGV[k] == 'n' then
    add(reader, tonumber(ARGV[k + 2]))
  elseif ARGV[k] == 'c' then
    local list = redis.call('HGET', KEYS[6], reader)
    if not list then
      redis.call('HSET', KEYS[6], reader, ARGV[k + 2])
      redis.call('ZADD', KEYS[7], string.format('%d', now + hold), reader)
    elseif #list < tonumber(ARGV[4]) then
      redis.call('HSET', KEYS[6], reader, list .. ' ' .. ARGV[k + 2])
    end
  end
end

for field, n in pairs(figures) do redis.call('HINCRBY', KEYS[2], field, string.format('%d', n)) end

-- What is written after the run was retired ends with it.
local left = redis.call('PTTL', KEYS[1])
if left > 0 then
  for k = 2, 7 do
    if redis.call('PTTL', KEYS[k]) == -1 then redis.call('PEXPIRE', KEYS[k], string.format('%d', left)) end
  end
end

return redis.call('ZCARD', KEYS[7])

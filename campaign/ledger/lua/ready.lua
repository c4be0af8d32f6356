-- ready: the whole audience is in. Checks that what was written under the
-- attempt is complete, then names the attempt in the record, if none is named:
-- the first wins, and from that moment on messages may leave.
--
-- KEYS  1 record  2 counts  3 content  4 chunks  5 rejects  6... cells of the parts, in the order of ARGV
-- ARGV  1 attempt id  2 number of chunks  3 field count F, then F record fields as pairs,
--       then per part: number, size, and how many are suppressed already
-- Returns {1, attempt} when it was named now or before, {0, what is wrong}.
local named = redis.call('HGET', KEYS[1], 'attempt')
if named then return {1, named} end
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {0, 'the run is gone'} end
if state ~= 'expanding' then return {0, 'the run is ' .. state} end
if redis.call('EXISTS', KEYS[3]) == 0 then return {0, 'the content is missing'} end
if redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[2]) then return {0, 'chunks are missing'} end
local fields = tonumber(ARGV[3])
local at = 4 + fields * 2
local open, parts = 0, {}
local k = 6
for a = at, #ARGV, 3 do
  local size = tonumber(ARGV[a + 1])
  if redis.call('STRLEN', KEYS[k]) ~= size * 5 then return {0, 'cells are missing'} end
  k = k + 1
end
for a = at, #ARGV, 3 do
  local part, size, suppressed = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  redis.call('HSET', KEYS[2], part .. ':0', size - suppressed)
  if suppressed > 0 then redis.call('HSET', KEYS[2], part .. ':120', suppressed) end
  open = open + size - suppressed
  parts[#parts + 1] = part .. '=' .. size
end
redis.call('HSET', KEYS[2], 'open', open)
for p = 3, #KEYS do redis.call('PERSIST', KEYS[p]) end
local clock = redis.call('TIME')
local now_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
for f = 4, 3 + fields * 2, 2 do redis.call('HSET', KEYS[1], ARGV[f], ARGV[f + 1]) end
redis.call('HSET', KEYS[1], 'attempt', ARGV[1], 'parts', table.concat(parts, ','), 'ready', now_ms)
if open == 0 then
  redis.call('HSET', KEYS[1], 'state', 'finished', 'finished', now_ms)
else
  redis.call('HSET', KEYS[1], 'state', 'running')
end
return {1, ARGV[1]}

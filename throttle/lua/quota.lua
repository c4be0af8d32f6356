-- Second part of the slot scripts: quotas, read and written.
--
-- KEYS     after those of the lines one for each quota: a hash of
--          total: how many messages count now; first, at: the oldest and the
--          newest bucket that counts, numbered by time / width
--          b<bucket>: how many were taken in it
--          w<bucket>:<worker>: how many of these by one worker; only of the newest
--          two buckets
--          A quota for a fixed stretch of time has the bucket 0 alone.
-- ARGV     how many lines, how many quotas, the worker; for each line interval,
--          slack, floor, wrote and lenient (see open); for each quota
--          messages, window, width of a bucket, begin, end (microseconds), and what
--          the worker remembers: a bucket, how many it took in it, and in the one
--          before it. Then those of the script.
--
-- Where less is stored than a worker remembers, Redis has lost writes: the
-- difference is counted again.
local nLines, nQuotas, worker = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local own = 3 + 5 * nLines + 8 * nQuotas -- ARGV of the script begin behind this one

local function bucketField(bucket) return string.format('b%.0f', bucket) end
local function workerField(bucket) return string.format('w%.0f:', bucket) .. worker end

-- frees returns when no body that was counted in the bucket can have left within
-- the window any more: a body leaves up to reach after it was counted.
local function frees(q, bucket) return (bucket + 1) * q.width + q.window + reach end

local function count(q, bucket, n)
  redis.call('HINCRBY', q.key, bucketField(bucket), n)
  redis.call('HINCRBY', q.key, workerField(bucket), n)
  q.total = q.total + n
  q.first = math.min(q.first, bucket)
  q.changed = true
end

-- gather moves what is counted in the future, by a clock that was set back, to the
-- present bucket.
local function gather(q)
  local all, sum = redis.call('HGETALL', q.key), 0
  for i = 1, #all, 2 do
    local kind, bucket = string.match(all[i], '^([bw])(%d+)')
    if kind and tonumber(bucket) > q.bucket then
      redis.call('HDEL', q.key, all[i])
      if kind == 'b' then sum = sum + tonumber(all[i + 1]) end
    end
  end
  if sum > 0 then redis.call('HINCRBY', q.key, bucketField(q.bucket), sum) end
  q.first, q.changed = math.min(q.first, q.bucket), true
end

-- turn begins a bucket: it forgets what workers took before the last one.
local function turn(q)
  local all = redis.call('HGETALL', q.key)
  for i = 1, #all, 2 do
    local bucket = string.match(all[i], '^w(%d+):')
    if bucket and tonumber(bucket) < q.bucket - 1 then redis.call('HDEL', q.key, all[i]) end
  end
  local life = math.max(172800000, q.window / 1000 + 3600000)
  if q.window == 0 then life = math.max(q.finish - now, 0) / 1000 + 172800000 end
  redis.call('PEXPIRE', q.key, string.format('%.0f', life))
end

-- age takes buckets off that are out of the window.
local function age(q)
  if frees(q, q.at) <= now then
    redis.call('DEL', q.key)
    q.total, q.first, q.changed = 0, q.bucket, true
    return
  end
  while frees(q, q.first) <= now do
    local name = bucketField(q.first)
    local n = redis.call('HGET', q.key, name)
    if n then
      q.total = q.total - tonumber(n)
      redis.call('HDEL', q.key, name)
    end
    q.first, q.changed = q.first + 1, true
  end
end

-- openQuota reads a quota whose arguments are those behind ARGV[a].
local function openQuota(key, a)
  local q = {
    key = key, messages = tonumber(ARGV[a + 1]), window = tonumber(ARGV[a + 2]), width = tonumber(ARGV[a + 3]),
    begin = tonumber(ARGV[a + 4]), finish = tonumber(ARGV[a + 5]), bucket = 0, changed = false,
  }
  local known, taken, before = tonumber(ARGV[a + 6]), tonumber(ARGV[a + 7]), tonumber(ARGV[a + 8])
  if q.window > 0 then q.bucket = math.floor(now / q.width) end

  local stored = redis.call('HMGET', key, 'total', 'first', 'at', workerField(known), workerField(known - 1))
  q.total, q.first = tonumber(stored[1] or 0), tonumber(stored[2] or q.bucket)
  q.at = tonumber(stored[3] or -1)
  if q.window > 0 and q.at >= 0 then
    if q.at * q.width > now + q.width + 1000000 then
      gather(q)
    elseif q.at > q.bucket then
      q.bucket = q.at
    end
    age(q)
  end

  local function remember(bucket, n, old)
    if n > old and bucket >= q.bucket - 1 and bucket <= q.bucket then count(q, bucket, n - old) end
  end
  remember(known, taken, tonumber(stored[4] or 0))
  remember(known - 1, before, tonumber(stored[5] or 0))
  return q
end

local function saveQuota(q)
  if not q.changed then return end
  redis.call('HSET', q.key, 'total', q.total, 'first', string.format('%.0f', q.first), 'at', string.format('%.0f', q.bucket))
  if q.at ~= q.bucket then turn(q) end
end

-- opens returns when the next message may be counted: 0 for now.
local function opens(q)
  if q.total < q.messages then return 0 end
  if q.window == 0 then return math.max(q.finish, now + 1000000) end
  if q.messages <= 0 then return now + q.window end
  local left, bucket = q.total, q.first
  while bucket <= q.bucket do
    left = left - tonumber(redis.call('HGET', q.key, bucketField(bucket)) or 0)
    if left < q.messages then break end
    bucket = bucket + 1
  end
  return frees(q, bucket)
end

local quotas = {}
for n = 1, nQuotas do
  quotas[n] = openQuota(KEYS[2 * nLines + n], 3 + 5 * nLines + 8 * (n - 1))
end

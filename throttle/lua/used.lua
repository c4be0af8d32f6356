-- Returns how much of each quota is used.
--
-- KEYS     see quota.lua, without lines
-- ARGV     see quota.lua
-- result   {now, then for each quota: how many count now, when the next message may
--          be counted (0: now), how many buckets follow, and for each of these when
--          it is out of the window, and how many are in it}, microseconds since 1970
local result = {now}
for _, q in ipairs(quotas) do
  local free = opens(q)
  saveQuota(q)
  result[#result + 1] = q.total
  result[#result + 1] = free
  local at = #result + 1
  result[at] = 0
  if q.window > 0 and q.total > 0 then
    local all = redis.call('HGETALL', q.key)
    for i = 1, #all, 2 do
      local bucket = string.match(all[i], '^b(%d+)$')
      if bucket then
        result[at] = result[at] + 1
        result[#result + 1] = frees(q, tonumber(bucket))
        result[#result + 1] = tonumber(all[i + 1])
      end
    end
  end
end
return result

-- Returns how much of each quota is used.
--
-- KEYS     see quota.lua, without lines
-- ARGV     see quota.lua
-- result   {now, then for each quota: how many count now, and when the next message
--          may be counted (0: now)}, microseconds since 1970
local result = {now}
for _, q in ipairs(quotas) do
  local free = opens(q)
  saveQuota(q)
  result[#result + 1] = q.total
  result[#result + 1] = free
end
return result

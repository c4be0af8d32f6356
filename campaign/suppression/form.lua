-- What scripts read of a stored value. This file is put in front of those that look into
-- one; form.go describes the two forms. A value in the short form has no lane.

-- time_of returns the time of an entry in Unix milliseconds, 0 when it has none.
local function time_of(value)
  local at = string.match(value, '^%d+\t(%d+)\t')
  if at then return tonumber(at) end
  at = string.match(value, '^%d+\tc(.......)')
  if not at then return 0 end
  local n = 0
  for k = 1, 7 do n = n * 64 + string.byte(at, k) - 48 end
  return n
end

-- is_unsubscribe tells whether an entry gives that reason.
local function is_unsubscribe(value)
  local reason = string.match(value, '^%d+\t%d+\t([^\t]*)')
  if reason then return reason == 'unsubscribe' end
  return string.match(value, '^%d+\tc.......(.)') == 'u'
end

-- short_form takes a value in the short form apart: expiry and head; who; the rest. nil
-- for another one.
local function short_form(value)
  return string.match(value, '^(%d+\tc.........)([^\t]*)(.*)$')
end


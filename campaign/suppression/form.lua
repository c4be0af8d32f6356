-- What scripts read of a stored value. This file is put in front of those that look into
-- one; form.go describes the two forms. A value in the short form has no lane.

-- time_of returns the time of an entry in Unix milliseconds, 0 when it has none.
local function time_of(value)
  local at = string.match(value, '^%d+\t(%d+)\t')
  if at then return tonumber(at) end
  local n = 0
  local late = string.match(value, '^%d+\t[\128-\255](.....)')
  if late then
    for k = 1, 5 do n = n * 256 + string.byte(late, k) end
    return n + 1577836800000
  end
  at = string.match(value, '^%d+\t[%a.](......)')
  if not at then return 0 end
  for k = 1, 6 do n = n * 128 + string.byte(at, k) - 128 end
  return n
end

-- is_unsubscribe tells whether an entry gives that reason.
local function is_unsubscribe(value)
  local reason = string.match(value, '^%d+\t%d+\t([^\t]*)')
  if reason then return reason == 'unsubscribe' end
  return string.match(value, '^%d+\t[uU\128-\255]') ~= nil
end

-- short_form takes a value in the short form apart: the expiry and a tab; the head, as
-- it is before an address that is not packed; the address or hash; the rest, as it is
-- there. nil for another one.
local function short_form(value)
  local expires, source, ref, packed = string.match(value, '^(%d+\t)([\128-\255]).....(..)(.+)$')
  if source then
    local at, digits = time_of(value), ''
    for k = 1, 6 do
      digits = string.char(128 + at % 128) .. digits
      at = math.floor(at / 128)
    end
    return expires, 'u' .. digits .. string.char(string.byte(source) - 128), packed, '\t\1' .. ref
  end

  local kind, more, rest
  expires, kind, more, rest = string.match(value, '^(%d+\t)([%a.])(.......)(.*)$')
  if not kind then return nil end
  if string.find(kind, '%u') then return expires, string.lower(kind) .. more, rest, '' end
  local who, tail = string.match(rest, '^([^\t]*)(.*)$')
  return expires, kind .. more, who, tail
end


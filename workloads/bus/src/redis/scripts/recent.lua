-- Keeps the newest entries of a room, or only the mark that older ones are of no use any more. KEYS: one room's.
-- The value is a head (32 hexadecimal digits: they sort as positions do), how many entries (4 digits), and the entries.
local new, seconds = ARGV[1], ARGV[2]
local old = redis.call('GETRANGE', KEYS[1], 0, 35)
if string.sub(old, 1, 36) >= string.sub(new, 1, 36) then
  return 0
end
redis.call('SET', KEYS[1], new, 'EX', seconds)
return 1

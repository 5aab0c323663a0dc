-- Looks whether a piece of the registry is the one a gateway knows; begins it anew when it is gone. Answers its mark, and how
-- many users and large rooms of the gateway it holds.
-- KEYS: mark (when this piece was begun, and a nonce), held, turn and rooms of the gateway that asks: their safety net of a
-- time to live is drawn out.
local mark, held, turn, rooms = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ahead, nonce, keep = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local found = redis.call('GET', mark)
if not found then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ahead
  found = string.format('%.0f', now) .. ' ' .. nonce
  redis.call('SET', mark, found)
end
redis.call('EXPIRE', held, keep)
redis.call('EXPIRE', turn, keep)
redis.call('EXPIRE', rooms, keep)
return { found, redis.call('SCARD', held), redis.call('SCARD', rooms) }

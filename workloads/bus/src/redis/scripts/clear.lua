-- Clears away entries of a tenure that has ended. KEYS: held or rooms, then one hash each of what it names.
local held, gateway, tenure, keep = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
for place = 2, #KEYS do
  local key = KEYS[place]
  if redis.call('HGET', key, gateway) == tenure then
    redis.call('HDEL', key, gateway)
    if redis.call('HLEN', key) <= 1 then
      redis.call('EXPIRE', key, keep)
    end
  end
  redis.call('SREM', held, ARGV[2 + place])
end
return redis.call('SCARD', held)

-- Says how many connections a gateway holds, and answers how many gateways have said so, and the sum. An answer of nothing: the
-- gateway holds no lease. Both keys carry the tag of the leases: tenures (hash: gateway -> tenure), loads (hash: gateway ->
-- connections).
local tenures, loads = KEYS[1], KEYS[2]
local gateway, connections = ARGV[1], ARGV[2]
if redis.call('HEXISTS', tenures, gateway) == 0 then
  return {}
end
redis.call('HSET', loads, gateway, connections)
local all, gateways, sum = redis.call('HGETALL', loads), 0, 0
for place = 1, #all, 2 do
  if redis.call('HEXISTS', tenures, all[place]) == 1 then
    gateways = gateways + 1
    sum = sum + tonumber(all[place + 1])
  else
    redis.call('HDEL', loads, all[place])
  end
end
return { gateways, sum }

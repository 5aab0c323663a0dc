-- Takes, renews or gives up a lease, and tells who is alive.
-- All keys carry the tag of the leases: ends (sorted set: gateway -> end, ms), tenures (hash: gateway -> tenure),
-- version (changes whenever the set of living gateways does), since (when this registry was begun, ms), lapsed (list of
-- gateway and tenure, whose entries are still to be cleared away).
local ends, tenures, version, since, lapsed = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local act, ahead, nonce, known = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local gateway, lease = ARGV[5], tonumber(ARGV[6])

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ahead

local function lapse(which)
  local tenure = redis.call('HGET', tenures, which)
  redis.call('ZREM', ends, which)
  redis.call('HDEL', tenures, which)
  if tenure then
    redis.call('RPUSH', lapsed, which .. tenure)
    redis.call('SET', version, nonce)
  end
end

local begun = redis.call('GET', since)
if not begun then
  if act ~= 'renew' then
    return {}
  end
  redis.call('SET', since, now)
  begun = now
end
for _, which in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do
  lapse(which)
end

local tenure = false
local held = 0
if act == 'renew' then
  tenure = redis.call('HGET', tenures, gateway)
  if tenure then
    held = 1
  else
    tenure = nonce
    redis.call('HSET', tenures, gateway, tenure)
    redis.call('SET', version, nonce)
  end
  redis.call('ZADD', ends, now + lease, gateway)
elseif act == 'leave' then
  lapse(gateway)
end

local current = redis.call('GET', version)
if not current then
  current = nonce
  redis.call('SET', version, nonce)
end
local living = false
if current ~= known then
  living = redis.call('HGETALL', tenures)
end
local clear = false
if act == 'renew' then
  clear = redis.call('LINDEX', lapsed, 0)
end
return { now - tonumber(begun), tostring(begun), current, living, held, tenure, clear }

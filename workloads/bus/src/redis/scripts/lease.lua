-- Takes, renews or gives up a lease, says whether a gateway keeps its large rooms, and tells who is alive.
-- All keys carry the tag of the leases: ends (sorted set: gateway -> end, ms), tenures (hash: gateway -> tenure),
-- version (changes whenever the set of living gateways does), since (when this registry was begun, ms), lapsed (list of
-- gateway and tenure, whose entries are still to be cleared away), kept (hash: gateway -> tenure, of gateways that say which
-- large rooms they hold).
local ends, tenures, version, since, lapsed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local act, ahead, nonce, known = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local gateway, lease, under = ARGV[5], tonumber(ARGV[6]), ARGV[7]

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ahead

local function lapse(which)
  local tenure = redis.call('HGET', tenures, which)
  redis.call('ZREM', ends, which)
  redis.call('HDEL', tenures, which)
  redis.call('HDEL', kept, which)
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
elseif (act == 'keep' or act == 'unkeep') and redis.call('HGET', tenures, gateway) == under then
  -- Nobody else speaks for this gateway, and only while the tenure it means goes on.
  held = 1
  local changed
  if act == 'keep' then
    changed = redis.call('HGET', kept, gateway) ~= under
    redis.call('HSET', kept, gateway, under)
  else
    changed = redis.call('HDEL', kept, gateway) == 1
  end
  if changed then
    redis.call('SET', version, nonce)
  end
end

local current = redis.call('GET', version)
if not current then
  current = nonce
  redis.call('SET', version, nonce)
end
local living, keeping = false, false
if current ~= known then
  living = redis.call('HGETALL', tenures)
  keeping = redis.call('HGETALL', kept)
  -- An older version's script ends leases without it: what it left behind counts for nothing, and goes here.
  for place = 1, #keeping, 2 do
    if redis.call('HGET', tenures, keeping[place]) ~= keeping[place + 1] then
      redis.call('HDEL', kept, keeping[place])
    end
  end
end
local clear = false
if act == 'renew' then
  clear = redis.call('LINDEX', lapsed, 0)
end
return { now - tonumber(begun), tostring(begun), current, living, held, tenure, clear, keeping }

-- Users came to a gateway, or went. All keys are of one piece of the registry: mark, held (set: users of this gateway and
-- tenure), turn (number of the gateway's last call), then one hash a user: gateway -> tenure, and 'a' -> last active, ms.
local mark, held, turn = KEYS[1], KEYS[2], KEYS[3]
local gateway, tenure, number = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now, keep, keep_held = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
if not redis.call('GET', mark) then
  return { 'lost' }
end
-- A call that a later one has overtaken on another connection says what was true once.
if tonumber(redis.call('GET', turn) or '0') >= number then
  return { 'overtaken' }
end
redis.call('SET', turn, ARGV[3], 'EX', keep_held)
local answers = { 'done' }
for place = 4, #KEYS do
  local key = KEYS[place]
  local user, connected = ARGV[2 * place - 1], ARGV[2 * place]
  local before = redis.call('HGET', key, gateway)
  local was = before == tenure
  if connected == '1' then
    if not was then
      redis.call('HSET', key, gateway, tenure, 'a', now)
      redis.call('PERSIST', key)
      redis.call('SADD', held, user)
    end
  elseif before then
    redis.call('HDEL', key, gateway)
    redis.call('SREM', held, user)
    if was then
      redis.call('HSET', key, 'a', now)
    end
    if redis.call('HLEN', key) <= 1 then
      redis.call('EXPIRE', key, keep)
    end
  end
  local others = {}
  local fields = redis.call('HGETALL', key)
  for field = 1, #fields, 2 do
    if fields[field] ~= 'a' and fields[field] ~= gateway then
      others[#others + 1] = fields[field]
      others[#others + 1] = fields[field + 1]
    end
  end
  answers[#answers + 1] = { was and 1 or 0, others }
end
redis.call('EXPIRE', held, keep_held)
return answers

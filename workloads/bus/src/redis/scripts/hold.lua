-- A gateway holds members of large rooms, or of some no longer. All keys are of one piece of the registry: mark, rooms (set:
-- rooms of this gateway and tenure), turn (number of the gateway's last call), then one hash a room: gateway -> tenure.
-- Answers by how many its rooms have become more.
local mark, rooms, turn = KEYS[1], KEYS[2], KEYS[3]
local gateway, tenure, number, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if not redis.call('GET', mark) then
  return { 'lost' }
end
-- A call that a later one has overtaken on another connection says what was true once.
if tonumber(redis.call('GET', turn) or '0') >= number then
  return { 'overtaken' }
end
redis.call('SET', turn, ARGV[3], 'EX', keep)
local more = 0
for place = 4, #KEYS do
  local key = KEYS[place]
  local room, holds = ARGV[2 * place - 3], ARGV[2 * place - 2]
  if holds == '1' then
    redis.call('HSET', key, gateway, tenure)
    -- Drawn out again and again while somebody holds the room: what nobody clears away goes by itself.
    redis.call('EXPIRE', key, keep)
    more = more + redis.call('SADD', rooms, room)
  else
    redis.call('HDEL', key, gateway)
    more = more - redis.call('SREM', rooms, room)
  end
end
redis.call('EXPIRE', rooms, keep)
return { 'done', more }

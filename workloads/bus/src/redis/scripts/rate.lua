-- Generic cell rate algorithm (ITU-T I.371): one number a key, when everything taken so far is paid for.
-- All in microseconds, below 2^53. ARGV: act, cost of what is taken, burst, how far the clock is ahead (ms).
local key, act = KEYS[1], ARGV[1]
local cost, burst, ahead = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2]) + ahead * 1000
-- A clock that was set back makes nobody wait for longer than the whole burst.
local paid = math.min(math.max(tonumber(redis.call('GET', key) or '0'), now), now + burst)
local due = paid + cost
local wait = 0
if act == 'give_back' then
  due = math.max(now, paid - cost)
elseif due > now + burst then
  wait = due - now - burst
  if act == 'take' then
    return wait
  end
  -- What has happened counts, but nobody pays for more than one burst.
  due = now + burst
end
if due <= now then
  redis.call('DEL', key)
else
  redis.call('SET', key, string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
end
return wait

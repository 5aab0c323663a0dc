-- Who holds large rooms. KEYS: mark of their piece, then one hash a room. Where more than so many do, only how many.
local mark, most = redis.call('GET', KEYS[1]), tonumber(ARGV[1])
if not mark then
  return {}
end
local answers = { mark }
for place = 2, #KEYS do
  local count = redis.call('HLEN', KEYS[place])
  if count > most then
    answers[place] = count
  else
    answers[place] = redis.call('HGETALL', KEYS[place])
  end
end
return answers

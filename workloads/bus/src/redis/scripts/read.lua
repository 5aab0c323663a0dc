-- Where users are, and when they were active last. KEYS: mark of their piece, then one hash a user.
local mark = redis.call('GET', KEYS[1])
if not mark then
  return {}
end
local answers = { mark }
for place = 2, #KEYS do
  answers[place] = redis.call('HGETALL', KEYS[place])
end
return answers

--[[ openQuota.lua: begin to count against a provider's limits; what was counted before is gone.
  KEYS[1]  state, hash   KEYS[2]  log, sorted set
  ARGV[1]  1 where it is known that nothing was called before, 0 where that is not known
  ARGV[2]  how long a call counts, ms
  Output: 1 opened | 0 it was open, nothing was changed ]]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local openAt = now
if ARGV[1] ~= '1' then openAt = now + ARGV[2] end
if redis.call('HSETNX', KEYS[1], 'generation', openAt) == 0 then return 0 end
redis.call('DEL', KEYS[2])
return 1

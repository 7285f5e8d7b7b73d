--[[ addFailures.lua: add to the failures or successes of subjects, which decay by a half-life. Each record counts once.
  KEYS[1]  tenant's ledger   KEYS[2]  applied offsets   KEYS[n+2]  the n-th subject: 'failures successes atMs'
  ARGV[1]  token of the rebuild that folds; empty where there is none
  ARGV[2]  topic/partition, and what of the record is counted   ARGV[3]  offset
  ARGV[4]  failures to add   ARGV[5]  successes to add
  ARGV[6]  when it happened, epoch ms   ARGV[7]  half-life, ms   ARGV[8]  time to keep a subject, ms
  Output: 'folded' | 'seen' it was before | 'lost' there is no ledger, or another rebuild has begun ]]
local generation, rebuild = unpack(redis.call('HMGET', KEYS[1], 'generation', 'rebuild'))
if ARGV[1] == '' and not generation or ARGV[1] ~= '' and rebuild ~= ARGV[1] then return 'lost' end
if tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or -1) >= tonumber(ARGV[3]) then return 'seen' end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])

local at, halfLife = tonumber(ARGV[6]), tonumber(ARGV[7])
for n = 3, #KEYS do
  local failures, successes, since = 0, 0, at
  local kept = redis.call('GET', KEYS[n])
  if kept then
    local f, s, t = string.match(kept, '^(%S+) (%S+) (%S+)$')
    failures, successes, since = tonumber(f), tonumber(s), tonumber(t)
  end
  -- Both are told as of the later of the two moments.
  local now = math.max(at, since)
  local fade, share = 2 ^ ((since - now) / halfLife), 2 ^ ((at - now) / halfLife)
  failures, successes = failures * fade + tonumber(ARGV[4]) * share, successes * fade + tonumber(ARGV[5]) * share
  redis.call('SET', KEYS[n], string.format('%.12g %.12g %.0f', failures, successes, now), 'PX', ARGV[8])
end
return 'folded'

--[[ claimSteps.lua: claim steps of one tenant before any work on them; the first record of a step wins.
  KEYS[n]  claim of one step, all with the tenant's hash tag
  ARGV[1]  dedupe window, ms
  ARGV[n+1]  claim of KEYS[n]: topic/partition/offset#contentHash
  Output: for each key an empty string where the claim is now ours, else the claim that stands ]]
local standing = {}
for n, key in ipairs(KEYS) do
  standing[n] = redis.call('SET', key, ARGV[n + 1], 'NX', 'GET', 'PX', ARGV[1]) or ''
end
return standing

--[[ claimSteps.lua: claim steps of one tenant before any work on them; the first record of a step wins.
  KEYS[1]  tenant's ledger
  KEYS[n+1]  claim of the n-th step, all with the tenant's hash tag
  ARGV[1]  1 where the ledger must be there, 0 for a tenant that has none
  ARGV[2]  dedupe window, ms
  ARGV[n+2]  claim of KEYS[n+1]: topic/partition/offset#contentHash
  Output: for each step an empty string where the claim is now ours, else the claim that stands
    | 'lost' there is no ledger: the claims may be lost too ]]
if ARGV[1] == '1' and redis.call('HEXISTS', KEYS[1], 'generation') == 0 then return 'lost' end
local standing = {}
for n = 2, #KEYS do
  standing[n - 1] = redis.call('SET', KEYS[n], ARGV[n + 1], 'NX', 'GET', 'PX', ARGV[2]) or ''
end
return standing

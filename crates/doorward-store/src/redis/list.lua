-- Some names of a range with their records, and the last name that was looked at, or nothing if these were all.
--
-- KEYS: sorted set of names; the same by expiry.
-- ARGV: what keys of records begin with; first and last name of the range; how many.
local found, last = {}, ''
local names = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])
for _, name in ipairs(names) do
    local record = redis.call('GET', ARGV[1] .. name)
    if record then
        found[#found + 1] = {name, record}
    else
        -- Redis has removed it by itself.
        redis.call('ZREM', KEYS[1], name)
        redis.call('ZREM', KEYS[2], name)
    end
end
if #names == tonumber(ARGV[4]) then
    last = names[#names]
end
return {last, found}

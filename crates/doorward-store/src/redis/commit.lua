-- Makes all changes if all conditions hold. 1: done; 0: a condition does not hold, nothing was changed.
--
-- KEYS: sorted set of names; the same by expiry; mark of this commit; records of conditions; records of changes.
-- ARGV: what keys of records begin with; now in digits; its seconds; how many expired records to remove; how many
-- conditions; for each condition 1 and the value, or 0 and nothing; for each change the record (nothing: delete it), how
-- many milliseconds Redis is to keep it and the second it expires (nothing: for ever).
local names, expiries, mark = KEYS[1], KEYS[2], KEYS[3]
local start, now, conditions = ARGV[1], ARGV[2], tonumber(ARGV[5])
if redis.call('EXISTS', mark) == 1 then
    return 1
end

local at = 5
for n = 1, conditions do
    local record = redis.call('GET', KEYS[3 + n])
    local is_there = record and string.sub(record, 1, #now) > now
    if ARGV[at + 1] == '1' then
        if not is_there or string.sub(record, #now + 1) ~= ARGV[at + 2] then
            return 0
        end
    elseif is_there then
        return 0
    end
    at = at + 2
end

local function forget(key, name)
    redis.call('DEL', key)
    redis.call('ZREM', names, name)
    redis.call('ZREM', expiries, name)
end

-- Redis refuses what it has no room or no leave for at the first change only.
redis.call('SET', mark, '', 'PX', 60000)
for n = 4 + conditions, #KEYS do
    local key, record, lifetime = KEYS[n], ARGV[at + 1], ARGV[at + 2]
    local name = string.sub(key, #start + 1)
    if record == '' then
        forget(key, name)
    else
        redis.call('ZADD', names, 0, name)
        if lifetime == '' then
            redis.call('SET', key, record)
            redis.call('ZREM', expiries, name)
        else
            redis.call('SET', key, record, 'PX', lifetime)
            redis.call('ZADD', expiries, ARGV[at + 3], name)
        end
    end
    at = at + 3
end

local expired = redis.call('ZRANGEBYSCORE', expiries, '-inf', '(' .. ARGV[3], 'LIMIT', 0, ARGV[4])
for _, name in ipairs(expired) do
    forget(start .. name, name)
end
return 1

/**
 * The Lua of the Upstash store, and the SHA-1 of each that `EVALSHA` takes. A record is one string:
 * its last eight versions (newest first), its expiry, its subject and its value, a line each.
 */

/**
 * Compare-and-set. A version among the last eight was written by an earlier attempt of the same
 * write: it is done, even when others have written since. Expiry is relative, so that no clock but
 * Redis' own counts; `TIME` does that for the index.
 *
 * Without `#!lua flags=allow-key-locking`, which would let Upstash lock less: Redis 7 itself refuses
 * flags that it does not know.
 */
export const WRITE: string = `local c=redis.call('GET',KEYS[1])
local t=''
if c then
local e
t,e=c:match('^([^\\n]*)\\n(%d+)\\n')
if not t then return c end
if tonumber(e)<=tonumber(ARGV[6]) then c,t=nil,'' end
end
if (' '..t..' '):find(' '..ARGV[2]..' ',1,true) then return 1 end
if (t:match('^%S+') or '')~=ARGV[1] then return c or 0 end
t=(ARGV[2]..' '..t):match('^'..('%S* ?'):rep(8))
redis.call('SET',KEYS[1],t..'\\n'..ARGV[4],'PX',ARGV[3])
local s=KEYS[2]
if s then
local n=redis.call('TIME')
n=n[1]*1000+math.floor(n[2]/1000)
redis.call('ZREMRANGEBYSCORE',s,'-inf',n)
redis.call('ZADD',s,n+ARGV[3],ARGV[5])
if redis.call('PTTL',s)<tonumber(ARGV[3]) then redis.call('PEXPIRE',s,ARGV[3]) end
end
return 1`

/** The ids of a subject and their records, alternating; ids without a record go. */
export const LIST: string = `local r={}
for _,i in ipairs(redis.call('ZRANGE',KEYS[1],0,-1)) do
local c=redis.call('GET',ARGV[1]..i)
if c then r[#r+1]=i r[#r+1]=c else redis.call('ZREM',KEYS[1],i) end
end
return r`

export const WRITE_SHA: string = 'edecd50d4a6bd5d1ef952cd194e0fa87f8b74407'
export const LIST_SHA: string = '8d3860171f352338819958a3bfe42d6e4bb0881c'

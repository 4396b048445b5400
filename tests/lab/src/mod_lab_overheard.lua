-- Notes what passes on each connection of this Prosody, after decryption: stanzas both ways, and what is asked by HTTP.
-- One file for each connection and direction, in the folder of the option lab_overheard: NUMBER-KIND-PEER.in and .out.

local filters = require "util.filters";
local http = require "net.http.server";
local folder = module:get_option_string("lab_overheard");
local count = 0;
local function open(kind, conn)
	count = count + 1;
	return ("%s/%04d-%s-%s"):format(folder, count, kind, conn and conn:ip() or "nobody");
end
local function append(name, direction, data)
	local file = assert(io.open(name .. "." .. direction, "ab"));
	assert(file:write(data));
	assert(file:close());
end
filters.add_filter_hook(function (session)
	local name;
	local function hear(direction)
		return function (data)
			name = name or open(session.type:match("^%w+"), session.conn);
			append(name, direction, data);
			return data;
		end
	end
	filters.add_filter(session, "bytes/in", hear("in"), 1000);
	filters.add_filter(session, "bytes/out", hear("out"), -1000);
end);
local names = setmetatable({}, { __mode = "k" });
local onincoming = http.listener.onincoming;
function http.listener.onincoming(conn, data, ...)
	names[conn] = names[conn] or open("http", conn);
	append(names[conn], "in", data);
	return onincoming(conn, data, ...);
end

local datetime = require "util.datetime";
local of_seconds = datetime.datetime;
datetime.datetime = function (time) return of_seconds(time and math.floor(time)); end
local stanza = require "util.stanza".stanza_mt;
stanza.get_child_attr = stanza.get_child_attr or function (self, name, xmlns, attr)
	local child = self:get_child(name, xmlns);
	return child and child.attr[attr];
end
local filters = require "util.filters";
filters.add_filter_hook(function (session)
	filters.add_filter(session, "bytes/in", function (data)
		session.lab_from = data and data:match("<stream:stream[^>]- from='([^']*)'") or session.lab_from;
		return data;
	end, -1); -- Behind mod_websocket's, which makes a stream of messages.
end);
module:hook("stream-features", function (event)
	local conn = event.origin.conn;
	if not conn.ssl_info then
		conn.ssl_info = function (self) return self:socket():info(); end
	end
end, 2);
module:hook("advertise-sasl-features", function (event)
	event.stream = event.stream or { from = event.origin.lab_from };
end, 2);
module:hook("sasl2/c2s/success", function (event)
	module:fire_event("authentication-success", { session = event.session });
	event.session.log("info", "logged in by SASL2: %s", event.session.sasl_handler.selected);
end, 2000);

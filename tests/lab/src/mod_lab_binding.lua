local base64 = require "util.encodings".base64;
local hashes = require "util.hashes";
local hex = require "util.hex";
local sasl = require "util.sasl";
local ssl = require "ssl";
local st = require "util.stanza";

local offered = module:get_option_set("lab_binding_types", {});
local says_hash = module:get_option_boolean("lab_offer_hash", false);
local file = assert(io.open(module:get_option_string("lab_certificate")));
local certificate = assert(ssl.loadcertificate(file:read("*a")));
file:close();
local certificate_hash = hex.decode(certificate:digest("sha256"));

-- What names a connection, for a LuaSec socket.
local names = {
	["tls-exporter"] = function (socket) return socket:exportkeyingmaterial("EXPORTER-Channel-Binding", 32, ""); end;
	["tls-server-end-point"] = function () return certificate_hash; end;
};

local types = { "tls-unique", "tls-exporter", "tls-server-end-point" };
require "util.sasl.scram".init(function (name, _, mechanism, binds)
	if binds then sasl.registerMechanism(name, {}, mechanism, types); end
end);

-- Modules make a handler for each connection, and then ask it for its mechanisms.
local methods = getmetatable(sasl.new("lab", {})).__index;
local mechanisms, process = methods.mechanisms, methods.process;

function methods:mechanisms()
	local socket = self.userdata and self.userdata["tls-unique"];
	if socket and not socket.exportkeyingmaterial then socket = socket:socket(); end
	for name in offered do
		if socket then
			self:add_cb_handler(name, function () return names[name](socket); end);
		end
	end
	return mechanisms(self);
end

local function sorted_keys(map)
	local keys = {};
	for key in pairs(map) do table.insert(keys, key); end
	table.sort(keys);
	return table.concat(keys, "\30");
end

function methods:process(message)
	local status, answer, text = process(self, message);
	local size = self.selected:match("^SCRAM%-SHA%-(%d+)");
	if says_hash and status == "challenge" and size then
		local offer = sorted_keys(self:mechanisms());
		if self.profile.cb then offer = offer.."\31"..sorted_keys(self.profile.cb); end
		answer = answer..",h="..base64.encode(hashes["sha"..size](offer));
		self.state.server_first_message = answer;
	end
	return status, answer, text;
end

module:hook("stream-features", function (event)
	local handler = event.origin.sasl_handler;
	if event.origin.type ~= "c2s_unauthed" or not handler or not handler.profile.cb then return; end
	local list = st.stanza("sasl-channel-binding", { xmlns = "urn:xmpp:sasl-cb:0" });
	for name in pairs(handler.profile.cb) do list:tag("channel-binding", { type = name }):up(); end
	event.features:add_direct_child(list);
end, -1);

module:hook("authentication-success", function (event)
	event.session.log("info", "logged in by mechanism: %s", event.session.sasl_handler.selected);
end);

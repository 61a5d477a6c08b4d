# Serves one Redmine on a port of the system's choice and writes the port to
# the file named by the first argument. Ends when its standard input closes, so
# that no server outlives the test that started it, however that test ends.

require "webrick"

port_file = ARGV.fetch(0)
require File.join(Dir.pwd, "config/environment")
require "rack/handler/webrick"

Thread.new do
  $stdin.read
  exit!(0)
end

server = WEBrick::HTTPServer.new(
  BindAddress: "127.0.0.1",
  Port: 0,
  AccessLog: [],
  DoNotReverseLookup: true,
  Logger: WEBrick::Log.new($stderr, WEBrick::Log::WARN)
)
server.mount "/", Rack::Handler::WEBrick, Rails.application
port = server.listeners.first.addr[1]
# Whole or not at all: the launcher reads the file as soon as it is there.
File.write("#{port_file}.new", port.to_s)
File.rename("#{port_file}.new", port_file)
server.start

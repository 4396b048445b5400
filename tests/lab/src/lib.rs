//! Chat servers and a Tor network on loopback, for the tests, the demo and the benchmarks of hexchat-pt.

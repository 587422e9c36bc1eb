"""The call thread: signalling, transport, streams and decoders on a loop of its own."""

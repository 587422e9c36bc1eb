"""The meeting as the client knows it: a pure state machine, no sockets, no Qt."""

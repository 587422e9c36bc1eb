"""What strangers send to the real server process, and that it does no harm."""

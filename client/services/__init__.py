"""What the desktop program asks of the world outside the call: servers, files, the operating system."""

"""The desktop program: session, call, studio, services, bridge, app."""

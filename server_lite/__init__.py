"""The server: signalling, rooms and the SFU. Runs inside the app or alone; never decodes media."""

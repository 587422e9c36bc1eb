"""Light members for load: real signalling, ICE, DTLS and SRTP, made-up streams, every packet checked."""

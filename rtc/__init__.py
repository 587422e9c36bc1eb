"""What both ends share: signalling, RTP and RTCP, transports, caches. Imports nobody."""

"""Sound and pictures on this machine: sources, codecs, playback. Knows nothing of meetings or the network."""

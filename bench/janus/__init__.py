"""Janus (its videoroom plugin) as a peer of the bench sfu, where it is installed."""

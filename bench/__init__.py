"""Measurements of Hearth and of its peers, side by side, each in one run on one machine."""

"""Capture and encoding in a process of its own, so that the call keeps its pace."""

"""Set-up and start, standard library only: `run.py` imports this before anything is installed."""

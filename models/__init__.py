"""Local inference and the files it needs: what is pinned, how it is fetched, and one module per task."""

"""Whole programs in processes of their own: the server, desktop members and a browser in one room."""

"""The version that the server tells."""

VERSION = "0.1.0"

"""Bytes, chains and files. Knows nothing of changes, controls or people."""

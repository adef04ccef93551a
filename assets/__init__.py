"""Thin bodies: load, call the domain, return metadata."""

"""Findings: what went wrong stays until a named person disposes of it, and the right people hear of it."""

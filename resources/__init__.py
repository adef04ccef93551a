"""Typed configuration that yields plain domain objects."""

"""Thin bodies over pure decisions."""

"""Change records: their form, the people in them, and the systems they are read from."""

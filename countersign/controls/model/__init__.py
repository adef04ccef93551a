"""A model may read evidence, and it never decides: it can put a control in doubt, and can settle none by itself."""

"""The systems that changes are read from, one file each behind one small interface."""

"""One change, one run: from payload to handoff, and everything that can be asked of it afterwards."""

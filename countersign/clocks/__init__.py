"""Time as the domain uses it: instants here; business calendars and clocks beside it."""

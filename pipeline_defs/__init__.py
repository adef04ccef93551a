"""The assembly: everything that Dagster sees, and how it is started."""

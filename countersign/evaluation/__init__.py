"""How well a mapper judges: against a labelled set, with intervals. Nothing here takes part in a run."""

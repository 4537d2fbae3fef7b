"""The reports of a sweep: every format shows the tables that `tables` makes from its facts."""

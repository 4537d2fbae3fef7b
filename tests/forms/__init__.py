"""Tests of how tasks are put to models."""

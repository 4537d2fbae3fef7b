"""The catalogue of defects that proves the checks: each entry plants one real, silent bug in a clean pipeline."""

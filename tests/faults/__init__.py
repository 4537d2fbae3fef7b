"""What happens to a run when the machine fails it: each test does the real thing to a real process."""

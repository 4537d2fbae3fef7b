"""Damaged and hostile input: whatever comes in, what comes out is a success or an error of our own."""

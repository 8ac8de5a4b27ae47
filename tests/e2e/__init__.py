"""The README, followed on a real machine."""

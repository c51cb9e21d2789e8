"""Carrying out a plan, on schedule and under disk pressure."""

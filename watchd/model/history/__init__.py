"""What watchd has on record about the past: observations, lives, ends, regrets."""

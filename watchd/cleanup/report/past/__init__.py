"""Reports about the past: replayed policies, recommended thresholds, regrets."""

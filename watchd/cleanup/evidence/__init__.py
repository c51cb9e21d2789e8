"""Evidence: whether what policies removed, or would have removed, was needed again."""

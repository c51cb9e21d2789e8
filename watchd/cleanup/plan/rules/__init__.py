"""The rules of a plan: what policies select and when, what is protected, kept, or goes under pressure. Pure."""

"""Cleaning: what is known of use, the policies, the plan, carrying it out, and its schedule."""

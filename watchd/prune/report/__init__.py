"""A plan and its outcome, told to people. What would happen and what happened are never the same words."""

from watchd.prune.report.accounts import accounts
from watchd.prune.report.explanations import explanation
from watchd.prune.report.plans import outcome, plan, result
from watchd.prune.report.policies import policies
from watchd.prune.report.words import Line, Tone, table

__all__ = ["Line", "Tone", "accounts", "explanation", "outcome", "plan", "policies", "result", "table"]

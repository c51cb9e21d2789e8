"""Text for people: plans, outcomes, policies, disk usage. A dry run and a real run use different words."""

from watchd.cleanup.report.disk.usage_table import usage_table
from watchd.cleanup.report.explanations import explanation, explanation_as_json
from watchd.cleanup.report.matched import missing_policies, selections, void_patterns, void_selections
from watchd.cleanup.report.past.regrets import regretted
from watchd.cleanup.report.plans import disk_gain, nothing_removed, outcome, plan, result, without_pressure
from watchd.cleanup.report.policies import policies
from watchd.cleanup.report.tables import Fitting, table
from watchd.cleanup.report.watched import watched_note
from watchd.cleanup.report.words import Line, Tone, full_name

__all__ = [
    "Fitting",
    "Line",
    "Tone",
    "disk_gain",
    "explanation",
    "explanation_as_json",
    "full_name",
    "missing_policies",
    "nothing_removed",
    "outcome",
    "plan",
    "policies",
    "regretted",
    "result",
    "selections",
    "table",
    "usage_table",
    "void_patterns",
    "void_selections",
    "watched_note",
    "without_pressure",
]

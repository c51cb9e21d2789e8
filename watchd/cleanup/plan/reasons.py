"""Reasons of decisions."""

from enum import StrEnum


class Reason(StrEnum):
    """Reason of a decision. Published: scripts and metrics rely on the words."""

    # Removed
    EXITED_TOO_LONG = "exited_too_long"
    NEVER_STARTED = "never_started"
    DANGLING_TOO_LONG = "dangling_too_long"
    UNUSED_TOO_LONG = "unused_too_long"
    ARRIVED_TOO_LONG = "arrived_too_long"
    BUILT_TOO_LONG = "built_too_long"
    OVER_KEEP_LAST = "over_keep_last"
    PRESSURE = "pressure"
    # Kept: protections, in their order
    INCOMPLETE_VIEW = "incomplete_view"
    SELF = "self"
    PROTECTED = "protected"
    IN_USE = "in_use"
    SWARM = "swarm"
    COMPOSE_ACTIVE = "compose_active"
    RESTART_POLICY = "restart_policy"
    TAG_OF_IN_USE = "tag_of_in_use"
    HAS_CHILDREN = "has_children"
    PARENT_STAYS = "parent_stays"  # on engines that remove the untagged parents of an image along with it
    GRACE = "grace"
    KEEP = "keep"
    NAMED_VOLUME = "named_volume"
    # Kept: no policy removes it
    NOT_SELECTED = "not_selected"
    CONDITION_NOT_MET = "condition_not_met"
    UNKNOWN_CLOCK = "unknown_clock"
    BELOW_WATERMARK = "below_watermark"
    DISK_UNKNOWN = "disk_unknown"
    FREES_NOTHING = "frees_nothing"
    BUDGET_SPENT = "budget_spent"
    QUIET_HOURS = "quiet_hours"

// Short texts for reasons, outcomes and names, for one object or many. docs/cleaning.md explains them.

import { ago, seconds } from "./format.js";

export const REASONS = {
  exited_too_long: "ended long enough ago",
  never_started: "created and never started",
  dangling_too_long: "without a tag for long enough",
  unused_too_long: "unused for long enough",
  arrived_too_long: "here for long enough",
  built_too_long: "built long enough ago",
  over_keep_last: "more than the policy keeps",
  pressure: "next in turn, as the disk is too full",
  incomplete_view: "not judged, since a listing failed",
  self: "watchd itself",
  protected: "protected by a label or the configuration",
  in_use: "in use by a container",
  swarm: "needed by Swarm",
  compose_active: "of a Compose project that runs",
  restart_policy: "to be started again by restart policy",
  tag_of_in_use: "further tag of an image in use",
  has_children: "needed by an image that stays",
  parent_stays: "with a parent that stays, and would go along",
  grace: "only just come",
  keep: "spared by a keep rule",
  named_volume: "with a name of its own",
  not_selected: "selected by no policy",
  condition_not_met: "selected by a policy whose time has not come",
  unknown_clock: "of unknown age",
  below_watermark: "left alone while the disk has room",
  disk_unknown: "left alone, since its disk is not known",
  frees_nothing: "left alone, since removing it would free no room",
  budget_spent: "left for a later run, as this one's ceiling is reached",
  quiet_hours: "left alone in quiet hours",
};

export const OUTCOMES = {
  removed: "removed",
  already_gone: "was already gone",
  refused: "the engine refused",
  drifted: "had changed, so it stayed",
  failed: "failed",
  deferred: "put off",
  unknown: "not known: watchd was ended meanwhile",
};

export const KINDS = {
  container: "Containers",
  image: "Images",
  network: "Networks",
  volume: "Volumes",
  build_cache: "Build cache",
};

/** A name; of an image without one also what it was called last: "<none>, was web:1 until 3d 2h ago". */
export function fullName(name, former) {
  if (!former?.length) return name;
  const [{ reference, until }] = former;
  const further = former.length > 1 ? ` and ${former.length - 1} more` : "";
  return `${name}, was ${reference}${further} until ${ago(seconds(until))} ago`;
}

/** A reason without underscores. */
export const plain = (word) => word.replaceAll("_", " ");

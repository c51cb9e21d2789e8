// Short texts for reasons (those of `watchd explain`), outcomes and names. docs/cleaning.md explains them.

import { ago, seconds } from "./format.js";

export const REASONS = {
  exited_too_long: "it has ended long enough ago",
  never_started: "it was never started",
  dangling_too_long: "it has had no tag for long enough",
  unused_too_long: "it has been unused for long enough",
  arrived_too_long: "it has been here for long enough",
  built_too_long: "it was built long enough ago",
  over_keep_last: "its policy keeps newer ones",
  pressure: "the disk is too full, and its turn has come",
  incomplete_view: "the engine did not list all that this decision needs",
  self: "watchd itself needs it",
  protected: "a label or the configuration protects it",
  in_use: "a container uses it",
  swarm: "Swarm needs it",
  compose_active: "its Compose project is running",
  restart_policy: "its restart policy starts it again",
  tag_of_in_use: "a container uses it by another tag",
  has_children: "an image that stays was built on it",
  parent_stays: "the image that it was built on stays",
  grace: "it is new",
  keep: "a keep rule spares it",
  named_volume: "it is a volume with a name",
  not_selected: "no policy selects it",
  condition_not_met: "its policy's conditions do not hold yet",
  unknown_clock: "its policy goes by a time that is not known",
  below_watermark: "the disk has room",
  disk_unknown: "which disk it is on is not known",
  frees_nothing: "its removal would free nothing",
  budget_spent: "this run has reached its ceiling",
  quiet_hours: "these are quiet hours; else it would be removed now",
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

const ENDED = new Set(["exited", "dead", "created"]);

/** Why an item of a plan goes or stays, as `watchd explain` says it. */
export function whyOf({ kind, reason, facts }) {
  if (kind === "container" && reason === "condition_not_met" && facts.status && !ENDED.has(facts.status))
    return `it is ${facts.status}`;
  if (kind === "container" && reason === "in_use") return "it is a builder of docker buildx";
  if (kind === "network" && reason === "protected" && facts.network === "predefined") return "the engine made it itself";
  return REASONS[reason] ?? plain(reason);
}

/** What each protection is about, in a word or two. */
export const PROTECTIONS = {
  incomplete_view: "incomplete lists",
  self: "watchd itself",
  protected: "labels and [cleanup.protect]",
  in_use: "use by a container",
  swarm: "Swarm",
  compose_active: "a running Compose project",
  restart_policy: "restart policy",
  tag_of_in_use: "use by another tag",
  has_children: "images built on it",
  parent_stays: "the image that it was built on",
  grace: "grace for what is new",
  keep: "keep rules",
  named_volume: "a volume's name",
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

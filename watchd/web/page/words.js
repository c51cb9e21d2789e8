// What reasons and outcomes mean, in a sentence. docs/cleaning.md has all that there is to say.

export const REASONS = {
  exited_too_long: "ended long enough ago",
  never_started: "was created and never started",
  dangling_too_long: "has had no tag for long enough",
  unused_too_long: "has not been used for long enough",
  arrived_too_long: "came to this host long enough ago",
  built_too_long: "was built long enough ago",
  over_keep_last: "more than its policy keeps",
  pressure: "the disk is too full, and it is its turn",
  incomplete_view: "what it rests on could not be listed",
  self: "watchd itself",
  protected: "protected by a label or by the configuration",
  in_use: "in use by a container",
  swarm: "needed by Swarm",
  compose_active: "its Compose project runs",
  restart_policy: "its restart policy means to start it again",
  tag_of_in_use: "another tag of an image in use",
  has_children: "an image that stays was made from it",
  grace: "has only just come",
  keep: "spared by a policy's keep rule",
  named_volume: "a volume with a name of its own",
  not_selected: "no policy selects it",
  condition_not_met: "a policy selects it, and its time has not come",
  unknown_clock: "nobody can tell for how long",
  below_watermark: "the disk has room enough",
  budget_spent: "the run's ceiling leaves no room for it",
  quiet_hours: "these are quiet hours",
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

/** A reason with its underscores taken out, for reading. */
export const plain = (word) => word.replaceAll("_", " ");

"""What is in the directories of the engine's data: walked, and told by whom it is held."""

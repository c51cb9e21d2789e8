"""Names that buildx gives: one container for each node of a builder, and a volume for its cache."""

BUILDER = "buildx_buildkit_"  # how the name of the container begins
STATE = "_state"  # what the name of its volume has after that of the container

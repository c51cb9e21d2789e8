"""Names that people write: image references, versions in tags, patterns. Pure."""

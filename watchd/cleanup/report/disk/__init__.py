"""Reports about disks: what `watchd df` shows."""

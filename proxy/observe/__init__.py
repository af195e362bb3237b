"""What the data path tells: the access log, and lines about ejections."""

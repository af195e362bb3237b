"""What the controller serves and pushes: its pages' server, the pages about ejections, statsd. Knows no controller."""

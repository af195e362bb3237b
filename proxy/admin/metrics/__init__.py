"""What Prometheus and statsd are told: families of numbers (`family`), where they come from (`series`, `replica`), and
how they are written (`exposition`, `negotiation`, `scrape`). docs/metrics.md lists them all."""

"""What ends training: signals, a duration, a metric that no longer improves, and numbers that are not finite."""

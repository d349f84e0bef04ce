"""Decisions: functions of values and, where it matters, a clock time.  They keep no state and know no configuration."""

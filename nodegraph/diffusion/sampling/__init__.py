"""Schedules, denoisers, guidance and samplers."""

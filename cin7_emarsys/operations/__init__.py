"""Runs the place: jobs, schedules, sensors, alerts, and the commands that look after them.

Operations may look into every other room; no other room imports it.
"""

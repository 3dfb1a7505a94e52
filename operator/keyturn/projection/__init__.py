"""Projection: what a native Secret should be, whether it is, and whether we may write it.

What belongs here: decisions, made from what was gathered before. Pure: nothing is read or written.
"""

"""Designed experiments that measure which techniques help, with intervals and costs."""

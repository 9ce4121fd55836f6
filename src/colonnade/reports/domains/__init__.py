"""Domains: what they look like, what was known there before, and what was learned."""

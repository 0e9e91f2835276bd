"""Regenerate, attack and score the MICO membership-inference benchmark."""

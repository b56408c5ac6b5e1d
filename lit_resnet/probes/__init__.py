"""Measurements inside a net: parameters and multiply-adds, layer responses, signals, speed. Knows no trainer."""

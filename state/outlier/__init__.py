"""Outlier state: outcomes summarised (run), the rules (decide), and the stores that apply them."""

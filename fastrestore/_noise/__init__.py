"""Noise: one type for it, estimators, spectra and variance stabilization."""

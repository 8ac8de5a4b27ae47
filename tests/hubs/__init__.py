"""Hubs of models on loopback, which speak the real protocols: git with LFS, ModelScope's and Hugging Face's APIs."""

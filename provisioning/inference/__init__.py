"""Local inference: a model's answers without a server."""

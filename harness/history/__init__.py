"""The one record of a run: append-only facts that everything later reads. Writer in `record`, reader in `read`, what
they tell in `stories`: all of it by `index`, one question at a time by `query`.
"""

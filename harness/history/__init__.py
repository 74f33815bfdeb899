"""The one record of a run: append-only facts that everything later reads. Writer in `record`, reader in `read`,
stories in `query`.
"""

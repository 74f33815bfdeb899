"""The vocabulary: frozen values, standard library only. Everything that touches the world parses into these at its
edge.
"""

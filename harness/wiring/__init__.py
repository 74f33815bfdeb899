"""The one place that knows concrete classes, and where defaults live: it puts the rooms together for the verbs."""

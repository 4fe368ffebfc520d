"""What a model does to learn: its losses and metrics, its steps, and the data they take."""

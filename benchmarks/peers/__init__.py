"""Other loaders, each as its users would write it. They know nothing of this project."""

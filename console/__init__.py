"""The Django project, and everything that people and programs touch."""

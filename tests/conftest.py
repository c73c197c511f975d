"""Makes this folder importable for what the tests of several rooms share, such as `flows`."""

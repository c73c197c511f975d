"""The roof: each command reads its arguments, calls the rooms below and prints. Nobody imports this room."""

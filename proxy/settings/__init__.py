"""Settings: each declared once, with the forms it comes in (flag, environment, file), and what the machine has."""

"""What the processes of a replica say to each other, and the forms it has. Imports no process and no room."""
